// SPDX-License-Identifier: BSD-2-Clause-Patent

// Go without cgo: makes, writes, renames, lists and walks below os.Args[1], from several goroutines, and runs the rest of its
// arguments there.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	must(os.Chdir(os.Args[1]))
	must(os.MkdirAll("d/e", 0755))
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			name := fmt.Sprintf("d/f%d", i)
			must(os.WriteFile(name+".new", []byte(fmt.Sprintf("go %d", i)), 0644))
			must(os.Rename(name+".new", name))
		}(i)
	}
	all.Wait()
	file, err := os.OpenFile("d/f3", os.O_RDWR|os.O_APPEND, 0)
	must(err)
	_, err = file.WriteString(", appended")
	must(err)
	must(file.Close())
	must(filepath.WalkDir("d", func(path string, entry fs.DirEntry, err error) error {
		must(err)
		if entry.Type().IsRegular() {
			text, err := os.ReadFile(path)
			must(err)
			fmt.Println(path, string(text))
		}
		return nil
	}))
	must(os.Remove("d/f7"))
	if len(os.Args) > 2 {
		child := exec.Command(os.Args[2], os.Args[3:]...)
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		must(child.Run())
	}
}
