package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveFloor is the least that a proxy in Go does: net/http's own, with the transport that suits one
// upstream and a pool for its buffers.
func serveFloor(ctx context.Context, upstream string) error {
	target, err := url.Parse(upstream)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConns:        256,
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
			WriteBufferSize:     16 << 10,
			ReadBufferSize:      32 << 10,
		},
		BufferPool: &pool{},
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler()) // for its allocations
	mux.Handle("/", proxy)
	return serveRole(ctx, mux)
}

// pool keeps the proxy's buffers.
type pool struct{ buffers sync.Pool }

func (p *pool) Get() []byte {
	if b, ok := p.buffers.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *pool) Put(b []byte) { p.buffers.Put(&b) }

// serveRole serves on a free port, which it tells whoever started it, until the context ends.
func serveRole(ctx context.Context, h http.Handler) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if _, err := fmt.Fprintf(os.Stderr, "{\"msg\":\"ready\",\"addr\":%q,\"admin_addr\":%q}\n", l.Addr(), l.Addr()); err != nil {
		return fmt.Errorf("tell the address: %w", err)
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
