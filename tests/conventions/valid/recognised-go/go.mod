module example.org/team/teller/v2

go 1.22
