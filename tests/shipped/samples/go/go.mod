module example.org/gopher

go 1.21
