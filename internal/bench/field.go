package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// field is everything that runs: the upstream, and the contestants in the order of the table.
type field struct {
	folder      string
	keysFile    string
	tokens      []string
	upstream    *contestant
	contestants []*contestant
}

// The names of contestants that figures are set in relation to.
const (
	nameDirect   = "direct"
	nameFloor    = "ReverseProxy"
	nameNginx    = "nginx"
	nameLogfence = "logfence"
	nameBefore   = "logfence before"
)

// newField starts the upstream and the contestants: logfence's own binary, and an earlier build of it if
// one is named.
func newField(ctx context.Context, logfence, before string, tenants int) (f *field, err error) {
	f = &field{}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.folder, err = os.MkdirTemp("", "logfence-bench-"); err != nil {
		return f, fmt.Errorf("make a folder: %w", err)
	}
	if f.tokens, f.keysFile, err = signTokens(f.folder, tenants); err != nil {
		return f, err
	}
	self, err := os.Executable()
	if err != nil {
		return f, fmt.Errorf("find this program: %w", err)
	}
	if f.upstream, err = start(ctx, f.folder, "upstream", nil, self, "-role", "upstream"); err != nil {
		return f, err
	}
	direct := *f.upstream
	direct.name, direct.admin = nameDirect, ""
	startFloor := func() (*contestant, error) {
		return start(ctx, f.folder, nameFloor, nil, self, "-role", "floor", "-upstream", f.upstream.base)
	}
	floor, err := startFloor()
	if err != nil {
		return f, err
	}
	floor.again = startFloor
	f.contestants = []*contestant{&direct, floor}
	if err := f.addNginx(ctx); err != nil {
		return f, err
	}
	for _, binary := range []struct{ name, path string }{{nameBefore, before}, {nameLogfence, logfence}} {
		if binary.path == "" {
			continue
		}
		c, err := f.startLogfence(ctx, binary.name, binary.path)
		if err != nil {
			return f, err
		}
		c.again = func() (*contestant, error) { return f.startLogfence(ctx, binary.name, binary.path) }
		f.contestants = append(f.contestants, c)
	}
	return f, nil
}

// startLogfence starts one with everything on, and limits as they are by default but for the rate: one
// tenant asks more often here than any tenant is allowed to.
func (f *field) startLogfence(ctx context.Context, name, binary string) (*contestant, error) {
	env := []string{
		"LOGFENCE_LOKI_URL=" + f.upstream.base,
		"LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0",
		"LOGFENCE_JWT_ISSUER=" + issuer, "LOGFENCE_JWT_AUDIENCE=" + audience, "LOGFENCE_JWT_KEYS_FILE=" + f.keysFile,
		"LOGFENCE_AUDIT_LOG=" + filepath.Join(f.folder, strings.ReplaceAll(name, " ", "-")+".audit.jsonl"),
	}
	// One tenant asks as much as all do elsewhere: what its limits cost is measured, not where they end.
	limits := []string{
		"LOGFENCE_TENANT_RATE=100000000", "LOGFENCE_TENANT_BURST=100000000",
		"LOGFENCE_TENANT_QUERIES=20000", "LOGFENCE_QUERIES_AT_ONCE=20000",
	}
	file := strings.ReplaceAll(name, " ", "-")
	c, err := start(ctx, f.folder, file, append(limits, env...), binary, "serve")
	if err != nil && strings.Contains(err.Error(), "LOGFENCE_TENANT_RATE: unknown variable") {
		c, err = start(ctx, f.folder, file, env, binary, "serve") // a build from before there were any
	}
	if err != nil {
		return nil, err
	}
	c.name, c.fences = name, true
	return c, nil
}

const nginxConf = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events { worker_connections 2048; }
http {
	access_log access.log combined buffer=32k flush=1s;
	keepalive_requests 1000000;
	upstream loki { server %s; keepalive 256; }
	server {
		listen 127.0.0.1:%d;
		location / {
			proxy_pass http://loki;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_max_temp_file_size 0;
		}
	}
}
`

// addNginx adds an nginx of one process, where there is one, that passes requests on and writes its log.
func (f *field) addNginx(ctx context.Context) error {
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			fmt.Fprintln(os.Stderr, "nginx is not installed: it is left out")
			return nil //nolint:nilerr // as it says
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a port: %w", err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	n, err := strconv.Atoi(port)
	if err := errors.Join(err, l.Close()); err != nil {
		return fmt.Errorf("find a port: %w", err)
	}
	conf := filepath.Join(f.folder, "nginx.conf")
	text := fmt.Sprintf(nginxConf, strings.TrimPrefix(f.upstream.base, "http://"), n)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write nginx's configuration: %w", err)
	}
	// nginx does not say when it is ready: the shell says it for it, and becomes it.
	c, err := start(ctx, f.folder, nameNginx, nil, "/bin/sh", "-c",
		fmt.Sprintf(`echo '{"msg":"ready","addr":"%s"}' >&2; exec %s -p %s -c nginx.conf`, addr, binary, f.folder))
	if err != nil {
		return err
	}
	c.admin = ""
	f.contestants = append(f.contestants, c)
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr); err == nil {
			return conn.Close()
		}
	}
	return errors.New("nginx does not listen")
}

// find is the contestant of that name, or nil.
func (f *field) find(name string) *contestant {
	for _, c := range f.contestants {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (f *field) close() {
	for _, c := range f.contestants {
		if c.name != nameDirect {
			_ = c.stop()
		}
	}
	if f.upstream != nil {
		_ = f.upstream.stop()
	}
	_ = os.RemoveAll(f.folder)
}
