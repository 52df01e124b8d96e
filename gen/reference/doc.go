// Package reference has the generated parts of the API reference: openapi.yaml as it is at the root, the
// same as openapi.json, the renderer (Redoc's standalone bundle) and the renderer's settings.
//
// Guarantee: `make reference` makes everything in it but this file, byte for byte the same again, and
// `make check` fails when it is not what the same commit makes. The renderer loads nothing from another host.
//
// Not promised here: how any of it is served (package web).
package reference

import "embed"

// openapi.yaml is copied, since no package can embed what is above it. Without Node: whoever changes the
// spec need not build the renderer.
//
//go:generate cp ../../openapi.yaml openapi.yaml
//go:generate go run -C ../../internal/tools ./spec -json -repo ../..

// Files are the files of this folder, by name.
//
//go:embed openapi.yaml openapi.json redoc.js redoc.LICENSE.txt settings.js
var Files embed.FS
