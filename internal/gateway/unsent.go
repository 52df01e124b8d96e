package gateway

import (
	"log/slog"
	"net"
	"runtime"
	"sync"
)

// maxUnsent is how many bytes of responses the kernel may hold for a client beyond what the client's own buffer takes. Unbounded, it
// takes megabytes at once and then nothing for as long as a slow client reads them: such a client looks like one that has
// stopped.
const maxUnsent = 128 << 10

// unsentListener bounds what is unsent of its connections; they do not inherit the option from a listener. Without the bound, clients are
// served as well, and slow ones may be disconnected although they read.
type unsentListener struct {
	net.Listener

	log    *slog.Logger
	failed sync.Once // logged
}

// Accept returns a connection as the listener does. Goroutines that can run do so before: without that, hundreds of
// connections that arrive at once are all accepted first, and each request in progress waits behind them.
func (l *unsentListener) Accept() (net.Conn, error) {
	runtime.Gosched()
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := boundUnsent(tcp); err != nil {
			l.failed.Do(func() {
				l.log.Info("the system does not bound what it holds for slow clients, so that one that reads slowly may be disconnected as too slow", "error", err)
			})
		}
	}
	return conn, err
}
