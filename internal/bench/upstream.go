package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// An upstream is what contestants are in front of.
type upstream struct {
	url    string
	caFile string // CA certificates (PEM file); empty: plain HTTP
	stop   func()
}

// body is about n bytes of a response in Loki's shape.
func body(n int) []byte {
	const tail = `],"stats":{"summary":{"execTime":0.001}}}}`
	b := bytes.NewBufferString(`{"status":"success","data":{"resultType":"streams","result":[`)
	for i := 0; ; i++ {
		stream := fmt.Sprintf(`{"stream":{"app":"checkout","level":"error","pod":"checkout-%d"},"values":[["%d","level=error msg=\"payment refused\" order=%d took=%dms status=502"]]}`,
			i%7, 1795445231924945218+i, 7000000+i*37, 100+i%900)
		if b.Len()+1+len(stream)+len(tail) > n {
			b.WriteString(tail)
			return b.Bytes()
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(stream)
	}
}

const nginxConf = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 100000000;
	client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
	map $arg_query $body { ~2KB /2KB; ~200KB /200KB; ~100MB /100MB; default /none; }
	server {
		listen %s;
		root .;
		default_type application/json;
		location = /ready { return 200 ready; }
		location = /loki/api/v1/status/buildinfo { return 200 '{"version":"3.7.8"}'; }
		location = /loki/api/v1/query_range { try_files $body =404; }
		%s
	}
}
`

// nginxTLS refuses whatever is not HTTP/2, so that none can be measured over HTTP/1.1 instead.
const nginxTLS = `ssl_certificate cert.pem; ssl_certificate_key key.pem;
		if ($server_protocol != HTTP/2.0) { return 505; }`

// startNginx starts an nginx of one process that serves files of 2 KB, 200 KB and 100 MB: with a
// Content-Length, and over TLS with HTTP/2 if encrypted.
func (b *bench) startNginx(ctx context.Context, encrypted bool) (*upstream, error) {
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, fmt.Errorf("nginx is not installed; install it, or choose other parts with -only: %w", err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for a free port
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	addr := l.Addr().String()
	u := &upstream{url: "http://" + addr}
	listen, more := addr, ""
	if encrypted {
		u.url, u.caFile = "https://"+addr, filepath.Join(b.dir, "cert.pem")
		listen, more = addr+" ssl http2", nginxTLS
		err = writeCertificate(b.dir)
	}
	for name, n := range map[string]int{"2KB": 2000, "200KB": 200 << 10, "100MB": 100 << 20} {
		err = errors.Join(err, os.WriteFile(filepath.Join(b.dir, name), body(n), 0o600))
	}
	conf := fmt.Sprintf(nginxConf, listen, more)
	if err := errors.Join(err, os.WriteFile(filepath.Join(b.dir, "nginx.conf"), []byte(conf), 0o600), l.Close()); err != nil {
		return nil, fmt.Errorf("prepare nginx: %w", err)
	}
	p, err := start(ctx, filepath.Join(b.dir, "nginx.log"), addr, nil, binary, "-e", "stderr", "-p", b.dir, "-c", "nginx.conf")
	if err != nil {
		return nil, err
	}
	u.stop = p.stop
	return u, nil
}

// writeCertificate writes httptest's certificate for 127.0.0.1, and its key.
func writeCertificate(dir string) error {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	c := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	return errors.Join(err,
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
}

// startGo starts the upstream that [serveUpstream] is.
func (b *bench) startGo(ctx context.Context) (*upstream, error) {
	p, err := start(ctx, filepath.Join(b.dir, "upstream.log"), "", nil, b.self, "-role", "upstream")
	if err != nil {
		return nil, err
	}
	return &upstream{url: "http://" + p.addr, stop: p.stop}, nil
}

// pause is how long a response of size "pause" waits between its halves.
const pause = 250 * time.Millisecond

// serveUpstream is a Go server that writes 200 KB in pieces of the size that the query names, as net/http
// sends them: chunked. Other sizes are "gzip", 200 KB that are compressed already, "pause", and "tail", which has no lines
// but those of [serveTail].
func serveUpstream(ctx context.Context) error {
	text := body(200 << 10)
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	if _, err := z.Write(text); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ready")) })
	mux.HandleFunc("/loki/api/v1/status/buildinfo", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"version":"3.7.8"}`)) })
	mux.HandleFunc("/loki/api/v1/tail", serveTail)
	mux.HandleFunc("/loki/api/v1/query_range", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		query := r.FormValue("query")
		switch {
		case strings.Contains(query, `"4KB"`):
			writePieces(w, text, 4<<10)
		case strings.Contains(query, `"16KB"`):
			writePieces(w, text, 16<<10)
		case strings.Contains(query, `"64KB"`):
			writePieces(w, text, 64<<10)
		case strings.Contains(query, `"pause"`):
			writePieces(w, text[:1000], 1000)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
			}
			writePieces(w, text[1000:2000], 1000)
		case strings.Contains(query, `"gzip"`) && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
			w.Header().Set("Content-Encoding", "gzip")
			writePieces(w, compressed.Bytes(), 4<<10)
		case strings.Contains(query, `"tail"`):
			writePieces(w, []byte(`{"status":"success","data":{"resultType":"streams","result":[],"stats":{}}}`), 4<<10)
		default:
			http.Error(w, "no such size", http.StatusBadRequest)
		}
	})
	return serve(ctx, mux)
}

func writePieces(w http.ResponseWriter, text []byte, size int) {
	for len(text) > 0 {
		n, err := w.Write(text[:min(size, len(text))])
		if err != nil {
			return // the client has disconnected
		}
		text = text[n:]
	}
}

// startLoki starts a real Loki with an hour's logs of two tenants.
func (b *bench) startLoki(ctx context.Context) (*upstream, error) {
	l, err := demo.StartLoki(ctx, demo.LokiOptions{Binary: b.loki})
	if err != nil {
		return nil, err
	}
	var streams []demo.Stream
	for i := range 16 {
		s := demo.Stream{Labels: map[string]string{"tenant_id": fmt.Sprintf("tenant-%d", i%2), "app": "checkout", "pod": fmt.Sprintf("checkout-%d", i)}}
		for at := b.now.Add(-time.Hour); at.Before(b.now); at = at.Add(5 * time.Second) {
			level := []string{"info", "error"}[at.Unix()/5%2]
			s.Entries = append(s.Entries, demo.Entry{Time: at, Line: fmt.Sprintf("level=%s msg=\"payment refused\" order=%d took=%dms", level, at.Unix(), at.Unix()%900)})
		}
		streams = append(streams, s)
	}
	if err := l.Push(ctx, streams...); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &upstream{url: l.URL(), stop: func() { _ = l.Close() }}, nil
}
