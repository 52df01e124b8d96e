package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tail"
)

// What is buffered for a caller is reserved in the budget of memory before it is filled. A request waits for memory
// after admission and after its query was parsed, and before its slot at Loki; see docs/architecture.md.

// memoryOwner is who the caller's memory counts for: all of the token's tenants, as for parsing. A header that names
// one of them would choose whose share it is.
func memoryOwner(c echo.Context) limits.MemoryOwner {
	who := callerOf(c)
	return limits.MemoryOwner{Tenants: who.own, Class: who.limits.Class()}
}

// streamOwner is who the memory of a shared tail counts for: the tenants whose lines it reads.
func streamOwner(c echo.Context) limits.MemoryOwner {
	who := callerOf(c)
	return limits.MemoryOwner{Tenants: who.scope.Tenants(), Class: who.limits.Class()}
}

// pageMemory reserves memory for pages of the caller's.
func (s *Server) pageMemory(c echo.Context) pages.Reserve { return s.pageMemoryOf(memoryOwner(c)) }

func (s *Server) pageMemoryOf(owner limits.MemoryOwner) pages.Reserve {
	return func(ctx context.Context, bytes int64) (pages.Reservation, error) {
		r, err := s.limits.Memory().Reserve(ctx, limits.MemoryPages, owner, bytes)
		if err != nil {
			return nil, err
		}
		return r, nil
	}
}

// longBytes is how large a page is at most that cannot be divided: what the budget has room for.
func (s *Server) longBytes() int64 {
	return min(pages.DefaultLongBytes, s.limits.Memory().Size(limits.MemoryPages)/pages.Cost(2)*2)
}

// tailMemory reserves what a tail, or a viewer of one, has from its start to its end.
func (s *Server) tailMemory(use limits.MemoryUse, owner limits.MemoryOwner, bytes int64) func(context.Context) (tail.Room, error) {
	return func(ctx context.Context) (tail.Room, error) {
		r, err := s.limits.Memory().Reserve(ctx, use, owner, bytes)
		if err != nil {
			return nil, err
		}
		r.Fill(bytes)
		return r, nil
	}
}

// leastBody is what is reserved at least for a body while it is read. It bounds how many are, of a tenant and in
// all: those that never come as well.
const leastBody = 16 << 10

// bodyCost is how much memory a body takes: as bytes, as text, and as values.
func bodyCost(bytes int64) int64 { return 3 * bytes }

// bodyMemory is what is reserved for the body of a request.
type bodyMemory struct {
	*limits.Reservation

	from  io.ReadCloser
	bytes int64
}

// reserveBody reserves memory for a request's body before it is read. Without a body it waits for nothing.
func (s *Server) reserveBody(c echo.Context) (*bodyMemory, error) {
	r := c.Request()
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength > s.maxBody { // such a body is refused, and not kept
		return nil, nil
	}
	most := r.ContentLength
	if most < 0 {
		most = s.maxBody
	}
	reserved, err := s.limits.Memory().Reserve(r.Context(), limits.MemoryBodies, memoryOwner(c), max(bodyCost(most), leastBody))
	if err != nil {
		return nil, err
	}
	m := &bodyMemory{Reservation: reserved, from: r.Body}
	r.Body = m
	return m, nil
}

// bodiesFit reports whether the largest body fits into the memory for bodies: such a body would never be read.
func (s *Server) bodiesFit() error {
	if s.limits == nil {
		return nil
	}
	if room := s.limits.Memory().Size(limits.MemoryBodies); bodyCost(s.maxBody) > room {
		return fmt.Errorf("MaxBody: a body of %d bytes does not fit into the %d bytes that the memory budget has for bodies; lower it, or raise the budget",
			s.maxBody, room)
	}
	return nil
}

// Read counts what is read.
func (m *bodyMemory) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.bytes += int64(n)
	return n, err
}

// Close closes the body.
func (m *bodyMemory) Close() error { return m.from.Close() }

// read gives back what the body did not need.
func (m *bodyMemory) read() {
	if m != nil {
		m.Fill(bodyCost(m.bytes))
	}
}

func (m *bodyMemory) release() {
	if m != nil {
		m.Release()
	}
}

var _ loki.Slot = (*requestState)(nil)
