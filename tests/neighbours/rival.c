/* What tells DAOS's own interception library: this name. */
const char *query_pil4dfs_path(void);
const char *query_pil4dfs_path(void)
{
	return "rival";
}
