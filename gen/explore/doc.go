// Package explore is the log explorer at /explore as `make explore` builds it from internal/web/explore: a page,
// its scripts and styles, and the licences of what is bundled in them.
//
// Guarantee: `make explore` makes everything in dist, byte for byte the same again, and `make check` fails
// when it is not what the same commit makes. The name of a file in dist/assets changes with what is in it.
//
// Not promised here: how any of it is served (package web).
package explore

import "embed"

// Files are the files of the folder dist.
//
//go:embed dist
var Files embed.FS
