//! The operations: one function for each general call, named after it, reading like its man page.
//! All have the shape `fn(&'static Process, [i64; 6]) -> Op<i64>`, the arguments in the kernel's order.
