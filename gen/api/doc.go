// Package api is openapi.yaml in Go: the interface that a server implements, the types of its
// parameters, and the spec itself, embedded.
//
// Guarantee: everything in it but this file is generated from openapi.yaml by `make generate`, and
// `make check` fails when it is not what the spec of the same commit generates. A server that
// implements [ServerInterface] has every operation of the spec, and the compiler says so.
//
// Not promised here: that a request is valid. The generated binding checks types alone; package
// httpapi holds each request against the embedded spec before it.
package api

// The tool's versions are those of internal/tools/go.mod. It runs at the root of the repository, since
// outside of a module there is no -modfile.
//
//go:generate sh -c "cd ../.. && go tool -modfile=internal/tools/go.mod oapi-codegen -config gen/api/oapi-codegen.yaml openapi.yaml"
