// Package reference is what the reference of the API is made of that is generated: openapi.yaml as it
// stands at the root, its renderer (Redoc's standalone bundle) and the renderer's settings.
//
// Guarantee: `make reference` makes everything in it but this file, byte for byte the same again, and
// `make check` fails when it is not what the same commit makes. The renderer asks no host for anything.
//
// Not promised here: how any of it is served (package web).
package reference

import "embed"

// openapi.yaml is copied, since no package can embed what is above it. Without Node: whoever changes the
// spec need not build the renderer.
//
//go:generate cp ../../openapi.yaml openapi.yaml

// Files are the files of this folder, by name.
//
//go:embed openapi.yaml redoc.js redoc.LICENSE.txt settings.js
var Files embed.FS
