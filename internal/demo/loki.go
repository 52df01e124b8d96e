package demo

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"text/template"
	"time"
)

//go:embed loki.yaml.tmpl
var configText string

var configTemplate = template.Must(template.New("loki.yaml").Parse(configText))

const (
	readyWithin = time.Minute      // a start takes half a second; the rest is for machines under load
	stopWithin  = 10 * time.Second // an orderly stop takes as long
	portTries   = 10
)

// errPortTaken means that another process got the port between our choosing it and Loki's listening.
var errPortTaken = errors.New("the port was taken by another process")

// ErrEnded means that Loki's process has ended though nobody stopped it.
var ErrEnded = errors.New("loki has ended by itself")

// LokiOptions are which Loki to start, and how.
type LokiOptions struct {
	Binary string // path of Loki; see [Find]
	// MultiTenant is Loki's auth_enabled: each request must name an organisation in X-Scope-OrgID.
	MultiTenant bool
	// Organization names the organisation in which [Loki.Push] writes a stream, by its labels; nil: none is named,
	// which only a Loki without MultiTenant takes.
	Organization func(labels map[string]string) string
	// PersistPatterns makes Loki write the patterns that it finds back into itself as lines, and serve
	// requests for older patterns by a query over them.
	PersistPatterns bool
	// Separate runs the query frontend, the querier, the write path and the backend as processes of their own,
	// which share their store and find each other by gossip.
	Separate bool
	// Replicas is how many write processes hold each line, where Separate is set; 0 is one.
	Replicas int
	// Args are added to Loki's command line, where they win over the configuration file.
	Args []string
}

// Loki is a real Loki: a child process on a loopback port, or several, with its data in a temporary folder.
// Its methods may be called from several goroutines.
type Loki struct {
	options LokiOptions
	dir     string // everything of this Loki: configuration, log, data
	parts   []*part
	client  *http.Client
	// reserved keeps other Lokis off the ports of this one.
	reserved *net.TCPListener

	mu     sync.Mutex
	closed bool
}

// StartLoki starts a Loki and returns when it serves queries. It runs until [Loki.Close], which the
// caller has to call; ctx bounds the start alone.
func StartLoki(ctx context.Context, o LokiOptions) (*Loki, error) {
	if o.Binary == "" {
		return nil, errors.New("start loki: no binary given")
	}
	dir, err := os.MkdirTemp("", "logfence-loki-")
	if err != nil {
		return nil, fmt.Errorf("start loki: %w", err)
	}
	// A client of its own, so that closing its idle connections disturbs nobody.
	l := &Loki{options: o, dir: dir, client: &http.Client{Transport: &http.Transport{}}, parts: partsOf(o)}
	l.mu.Lock()
	defer l.mu.Unlock()
	for try := 1; ; try++ {
		if err = l.choosePorts(); err == nil {
			err = l.start(ctx)
		}
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, errPortTaken) || try == portTries {
			l.releasePorts()
			return nil, errors.Join(fmt.Errorf("start loki: %w", err), os.RemoveAll(dir))
		}
	}
}

// URL is the base URL of Loki's API for queries.
func (l *Loki) URL() string { return l.role(roleRead).url() }

// Dir is the folder with all that this Loki keeps; [Loki.Close] removes it.
func (l *Loki) Dir() string { return l.dir }

// Pid is the process that serves queries, for those who measure it; 0 when it does not run.
func (l *Loki) Pid() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.role(roleRead)
	if p.child == nil || p.child.ended() {
		return 0
	}
	return p.child.process.Pid
}

// Exited is closed when the process that serves queries now has ended, for whatever reason. After a
// [Loki.Restart] there is another.
func (l *Loki) Exited() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.role(roleRead)
	if p.child == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	return p.child.done
}

// Stop ends Loki in order: requests in flight get a second to finish, the data stays. It returns
// when Loki is gone.
func (l *Loki) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
}

// stop ends the parts in the order in which requests pass through them.
func (l *Loki) stop() {
	for _, p := range l.parts {
		if p.child != nil {
			p.child.stop(syscall.SIGTERM, stopWithin)
		}
	}
}

// Kill ends Loki at once, as a crash would. It returns when Loki is gone.
func (l *Loki) Kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kill()
}

func (l *Loki) kill() {
	for _, p := range l.parts {
		if p.child != nil {
			p.child.kill()
		}
	}
}

// Restart stops Loki if it runs and starts it on the same port with the same data; it returns when
// Loki serves queries.
func (l *Loki) Restart(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("restart loki: it is closed")
	}
	l.stop()
	// The old connections would be found broken one by one.
	l.client.CloseIdleConnections()
	if err := l.start(ctx); err != nil {
		return fmt.Errorf("restart loki: %w", err)
	}
	return nil
}

// RemoveWAL removes what a stopped Loki would read at its start: after a [Loki.Flush], its ingesters are empty then.
func (l *Loki) RemoveWAL() error {
	var errs []error
	for _, p := range l.writers() {
		errs = append(errs, os.RemoveAll(filepath.Join(l.dirOf(p), "wal")))
	}
	return errors.Join(errs...)
}

// Close stops Loki, by force when it takes too long, and removes its folder. The second call does nothing.
func (l *Loki) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.stop()
	l.releasePorts()
	l.client.CloseIdleConnections()
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("remove loki's folder: %w", err)
	}
	return nil
}

// get requests something of a part itself, not of the API of any tenant.
func (l *Loki) get(ctx context.Context, p *part, path string) ([]byte, error) {
	return l.do(ctx, p, http.MethodGet, path, nil, nil, http.StatusOK)
}

// do sends one request to a part and takes one status alone for success.
func (l *Loki) do(ctx context.Context, p *part, method, path string, header http.Header, body []byte, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, content[:min(len(content), 1000)])
	}
	return content, nil
}
