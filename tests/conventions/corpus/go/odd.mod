module
module "
require (
(
)
require ) (
retract [v1,v2]
// module x
module `v2`
go
