package telemetry

import (
	"log/slog"
	"sync"
	"time"
)

// codeLokiUnavailable is that of requests which are refused while Loki is known to be down.
const codeLokiUnavailable = "loki_unavailable"

// outageInterval is how long the lines of such requests are summed up for.
const outageInterval = 10 * time.Second

// outage sums up the log lines of requests that are refused while Loki is known to be down: clients retry, and each line
// would say what the first has said. The log reports the first in full, and the others as a count each
// interval; at level debug it has all of them. Metrics and the audit log count each.
type outage struct {
	log *slog.Logger

	mu      sync.Mutex
	timer   *time.Timer // nil: no line was written within the interval
	refused int         // since the last line
	closed  bool
}

// sumUp counts a request, and reports whether it is summed up with others.
func (o *outage) sumUp() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return false
	case o.timer == nil:
		o.timer = time.AfterFunc(outageInterval, o.report)
		return false
	default:
		o.refused++
		return true
	}
}

// report logs the count, and again after the interval as long as there is one.
func (o *outage) report() {
	o.mu.Lock()
	refused := o.refused
	o.refused = 0
	switch {
	case o.closed:
	case refused == 0:
		o.timer = nil
	default:
		o.timer.Reset(outageInterval)
	}
	o.mu.Unlock()
	if refused > 0 {
		o.log.Error("requests refused since Loki is down", "code", codeLokiUnavailable, "requests", refused, "within", outageInterval.String())
	}
}

// close logs what has been counted; later requests are not summed up.
func (o *outage) close() {
	o.mu.Lock()
	o.closed = true
	if o.timer != nil {
		o.timer.Stop()
	}
	o.mu.Unlock()
	o.report()
}
