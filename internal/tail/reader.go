package tail

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
)

// queuedFrames and queuedBytes bound what waits in a reader: beyond it, Loki's tail is not read, and Loki
// drops lines, and reports them.
const (
	queuedFrames = 64
	queuedBytes  = 1 << 20
)

// reader receives frames from Loki as they arrive, so that Loki does not drop them during a query for others.
type reader struct {
	upstream Upstream
	cancel   context.CancelFunc
	quota    *quota
	frames   chan loki.Frame // closed at the end
	queued   atomic.Int64    // bytes of the frames
	taken    chan struct{}   // gets a value when a frame was taken
	ended    chan struct{}
	// To be read after frames or ended are closed: why it ended, and the frame for which there was no room by then.
	err  error
	last *loki.Frame
}

func startReader(ctx context.Context, u Upstream, q *quota) *reader {
	r := &reader{
		upstream: u, quota: q, frames: make(chan loki.Frame, queuedFrames),
		taken: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	ctx, r.cancel = context.WithCancel(ctx)
	go r.read(ctx)
	return r
}

func (r *reader) read(ctx context.Context) {
	defer close(r.ended)
	defer close(r.frames)
	for {
		frame, err := r.upstream.Receive(ctx)
		if err != nil {
			r.err = err
			return
		}
		r.err = r.waitRoom(ctx, sizeOf(frame))
		if r.err == nil {
			select {
			case r.frames <- frame:
				continue
			case <-ctx.Done():
				r.err = ctx.Err()
			}
		}
		r.last = &frame
		return
	}
}

// waitRoom counts a frame. It waits while there is no room for it, but for a single one, and for the last one at the end of ctx.
func (r *reader) waitRoom(ctx context.Context, bytes int64) error {
	for {
		queued := r.queued.Load()
		if queued+bytes <= queuedBytes && r.quota.take(bytes) {
			break
		}
		if queued == 0 {
			r.quota.force(bytes)
			break
		}
		select {
		case <-r.taken:
		case <-ctx.Done():
			r.quota.force(bytes)
			r.queued.Add(bytes)
			return ctx.Err()
		}
	}
	r.queued.Add(bytes)
	return nil
}

// rest ends the reader, and returns the frames that it has received and that nobody has taken.
func (r *reader) rest() (rest []loki.Frame) {
	r.cancel()
	for frame := range r.frames {
		rest = append(rest, frame)
	}
	if r.last != nil {
		rest = append(rest, *r.last)
	}
	return rest
}

// done counts a frame less, which has been delivered.
func (r *reader) done(bytes int64) {
	r.queued.Add(-bytes)
	r.quota.give(bytes)
	signal(r.taken)
}

// sizeOf is how much memory a frame holds, which is never nothing.
func sizeOf(f loki.Frame) int64 {
	const overhead = 256
	return overhead + pages.Size(f.Entries) + int64(len(f.Dropped))*overhead
}

// close ends the reader and waits for it.
func (r *reader) close() {
	r.cancel()
	r.upstream.Close()
	<-r.ended
	r.quota.give(r.queued.Swap(0)) // what nobody will take
}

// waitStarted waits until no line will be missed.
func (r *reader) waitStarted(ctx context.Context) error {
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-r.upstream.Begun():
		return nil
	case <-timer.C:
		return nil
	case <-r.ended:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
