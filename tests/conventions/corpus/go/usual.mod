module example.org/team/x/v2

go 1.22

require (
	github.com/a/b v1.0.0 // indirect
)
replace a => ../a
