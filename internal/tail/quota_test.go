package tail_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tail"
	"github.com/logfence/logfence/internal/tenant"
)

// room is a budget of memory: of what a tail holds, and of the pages that it requests.
type room struct {
	mu                   sync.Mutex
	size, held, most     int64
	pages, pagesRequests int64
}

func newRoom(size int64) *room { return &room{size: size} }

func (r *room) get(context.Context) (tail.Room, error) {
	if !r.TryGrow(tail.BaseBytes) {
		return nil, errors.New("no room")
	}
	return r, nil
}

func (r *room) Release() { r.Fill(0) }

func (r *room) TryGrow(bytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held+bytes > r.size {
		return false
	}
	r.held += bytes
	r.most = max(r.most, r.held)
	return true
}

func (r *room) OverShare() bool { return false }

func (r *room) Fill(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes > r.held {
		panic("filled with more than is reserved")
	}
	r.held = bytes
}

type page struct {
	of    *room
	bytes int64
}

func (r *room) reserve(_ context.Context, bytes int64) (pages.Reservation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages += bytes
	r.pagesRequests++
	return &page{of: r, bytes: bytes}, nil
}

func (p *page) Fill(bytes int64) {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.pages -= p.bytes - min(bytes, p.bytes)
	p.bytes = min(bytes, p.bytes)
}

func (p *page) Release() { p.Fill(0) }

func (r *room) state() (held, most, pages int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held, r.most, r.pages
}

// TestTailWithinItsRoom guarantees that what waits for a reader who does not read stays within the room that
// there is, that the reader then finds the newest lines and how many were dropped, and that the room is given back.
func TestTailWithinItsRoom(t *testing.T) {
	for _, size := range []int64{tail.BaseBytes, 10 * tail.BaseBytes} {
		inBubble(t, fmt.Sprint(size), func(t *testing.T) {
			f, r := &fake{}, newRoom(size)
			tl := start(t, f, tail.ViewerConfig{Reserve: r.reserve, Stream: tail.StreamConfig{Room: r.get, Reserve: r.reserve}})
			time.Sleep(2 * begins)
			const n = 2000
			text := strings.Repeat("x", 1000)
			for i := range n {
				f.take(line(time.Now(), "%d %s", i, text))
				synctest.Wait()
			}
			if _, most, _ := r.state(); most > size {
				t.Errorf("%d are held, of %d", most, size)
			}
			got, last := 0, ""
			for got < n {
				b, err := tl.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got += len(b.Entries) + b.Drops.Slow
				if len(b.Entries) > 0 {
					last = b.Entries[len(b.Entries)-1].Line
				}
			}
			if got != n || !strings.HasPrefix(last, fmt.Sprint(n-1)) {
				t.Errorf("%d lines and drops, the last %.10s", got, last)
			}
			nothing(t, tl)
			tl.Close()
			if held, _, pages := r.state(); held != 0 || pages != 0 {
				t.Errorf("%d are held, %d of pages", held, pages)
			}
		})
	}
}

// TestTailResumesWithinItsRoom guarantees that a tail which resumes for a slow reader holds one page and its buffer,
// with frames of Loki's that come meanwhile, and that nothing is lost or left.
func TestTailResumesWithinItsRoom(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, r := &fake{}, newRoom(20*tail.BaseBytes)
		text := strings.Repeat("x", 3000)
		began := time.Now()
		for i := range 3000 {
			f.take(line(began.Add(time.Duration(i)), "%d %s", i, text))
		}
		cursor := tail.CursorAt(began.Add(tailLookback))
		time.Sleep(time.Second)
		tl := start(t, f, tail.ViewerConfig{Reserve: r.reserve, After: cursor, Stream: tail.StreamConfig{Room: r.get, Reserve: r.reserve}})
		synctest.Wait() // the reader is slow from the beginning
		if held, most, held1 := r.state(); most > 20*tail.BaseBytes || held1 == 0 {
			t.Errorf("%d are held, %d of a page", held, held1)
		}
		var got []string
		for _, text := range texts(t, tl, 3000) {
			number, _, _ := strings.Cut(text, " ")
			got = append(got, number)
		}
		if want := numbered(0, 3000); !slices.Equal(got, want) {
			t.Errorf("got %d lines", len(got))
		}
		nothing(t, tl)
		tl.Close()
		if held, _, pages := r.state(); held != 0 || pages != 0 || r.pagesRequests < 3 {
			t.Errorf("%d are held, %d of pages, after %d", held, pages, r.pagesRequests)
		}
	})
}

// tailLookback is how far before its time a cursor of a reader without lines is.
const tailLookback = 10 * time.Second

// TestTailBeginsWithManyLines guarantees that a tail opens whose newest lines are more than its buffer holds, and
// that each of them comes.
func TestTailBeginsWithManyLines(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f := &fake{}
		text := strings.Repeat("x", 3000)
		for i := range 1000 {
			f.take(line(time.Now().Add(time.Duration(i-1000)), "%d %s", i, text))
		}
		tl := start(t, f, tail.ViewerConfig{Lines: 1000})
		if got := texts(t, tl, 1000); !strings.HasPrefix(got[0], "0 ") {
			t.Errorf("begins with %.10s", got[0])
		}
		nothing(t, tl)
	})
}

// TestTailWithoutMemory guarantees that a tail which gets no memory for what it missed does not begin, and says why;
// and that one that is open tries again.
func TestTailWithoutMemory(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		full := errors.New("no memory")
		refused := func(context.Context, int64) (pages.Reservation, error) { return nil, full }
		h := hub()
		defer h.Close()
		if _, err := open(t.Context(), h, &fake{}, tail.ViewerConfig{Reserve: refused}); !errors.Is(err, full) {
			t.Errorf("got %v", err)
		}
		f, r := &fake{}, newRoom(1<<30)
		var failures atomic.Int64
		open := start(t, f, tail.ViewerConfig{Stream: tail.StreamConfig{Reserve: func(ctx context.Context, bytes int64) (pages.Reservation, error) {
			if failures.Load() > 0 {
				failures.Add(-1)
				return nil, full
			}
			return r.reserve(ctx, bytes)
		}}})
		time.Sleep(2 * begins)
		failures.Store(3)
		f.endTails()
		f.take(line(time.Now(), "missed"))
		if got := texts(t, open, 1); got[0] != "missed" || failures.Load() != 0 {
			t.Errorf("got %v with %d failures to come", got, failures.Load())
		}
	})
}

var _ tail.Room = (*room)(nil)

// TestRingsShareMemoryFairly guarantees that a tenant whose streams have filled the memory, and are quiet since, leaves room
// for another's.
func TestRingsShareMemoryFairly(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		memory, err := limits.NewMemory(limits.MinMemory, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		h := hub()
		roomOf := func(name tenant.Name) tail.StreamConfig {
			return tail.StreamConfig{Room: func(ctx context.Context) (tail.Room, error) {
				r, err := memory.Reserve(ctx, limits.MemoryTails, limits.MemoryOwner{Tenants: []tenant.Name{name}}, tail.BaseBytes)
				if err != nil {
					return nil, err
				}
				r.Fill(tail.BaseBytes)
				return r, nil
			}}
		}
		text := strings.Repeat("x", 1000)
		const n = 2000 // twice as much as fits
		fill := func(f *fake) {
			for i := range n {
				f.take(line(time.Now(), "%d %s", i, text))
				time.Sleep(10 * time.Millisecond)
			}
		}
		flood := &fake{}
		var quiet []*watch
		for i := range 8 {
			quiet = append(quiet, join(t, h, flood, tail.ViewerConfig{Key: tail.Key{Organization: fmt.Sprint("flood", i)}, Stream: roomOf("flood")}))
		}
		time.Sleep(2 * begins)
		fill(flood)
		size := memory.Size(limits.MemoryTails)
		if held := memory.Stats(limits.MemoryTails).Reserved; held < size/3 || held > size*3/4 {
			t.Errorf("one tenant holds %d of %d", held, size)
		}
		time.Sleep(time.Minute)
		other := &fake{}
		slow := join(t, h, other, tail.ViewerConfig{Key: tail.Key{Organization: "other"}, Stream: roomOf("other")})
		time.Sleep(2 * begins)
		fill(other)
		kept, dropped := 0, 0
		for kept+dropped < n {
			b, err := slow.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			kept, dropped = kept+len(b.Entries), dropped+b.Drops.Slow
		}
		if bytes := int64(kept * 2 * len(text)); bytes < size/4 || dropped == 0 {
			t.Errorf("the other tenant has kept %d lines, some %d of %d bytes", kept, bytes, size)
		}
		for _, w := range append(quiet, slow) {
			w.Viewer.Close()
		}
		h.Close()
		if s := memory.Stats(limits.MemoryTails); s.Reserved != 0 || s.Used != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}
