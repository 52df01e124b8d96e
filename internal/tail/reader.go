package tail

import (
	"context"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// reader receives frames from Loki as they arrive, so that Loki does not drop them during a query for others.
type reader struct {
	upstream Upstream
	cancel   context.CancelFunc
	frames   chan loki.Frame // closed at the end
	ended    chan struct{}
	err      error // why it ended, to be read after frames or ended are closed
}

func startReader(ctx context.Context, u Upstream) *reader {
	r := &reader{upstream: u, frames: make(chan loki.Frame, queuedFrames), ended: make(chan struct{})}
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
		select {
		case r.frames <- frame:
		case <-ctx.Done():
			r.err = ctx.Err()
			return
		}
	}
}

// close ends the reader and waits for it.
func (r *reader) close() {
	r.cancel()
	r.upstream.Close()
	<-r.ended
}

// endError is the reason if Loki has ended its tail by now.
func (r *reader) endError() error {
	select {
	case <-r.ended:
		return r.err
	default:
		return nil
	}
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
