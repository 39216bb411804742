module towpath.invalid/book

go 1.25
