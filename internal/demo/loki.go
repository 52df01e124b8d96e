package demo

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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

// LokiOptions are which Loki to start, and how.
type LokiOptions struct {
	Binary string // path of Loki; see [Find]
	// MultiTenant is Loki's auth_enabled: each request must name an organisation in X-Scope-OrgID.
	MultiTenant bool
	// PersistPatterns makes Loki write the patterns that it finds back into itself as lines, and serve
	// requests for older patterns by a query over them.
	PersistPatterns bool
	// Args are added to Loki's command line, where they win over the configuration file.
	Args []string
}

// Loki is a real Loki: a child process on a loopback port, with its data in a temporary folder.
// Its methods may be called from several goroutines.
type Loki struct {
	options    LokiOptions
	dir        string // everything of this Loki: configuration, log, data
	http, grpc int
	client     *http.Client

	mu     sync.Mutex
	child  *child
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
	l := &Loki{options: o, dir: dir, client: &http.Client{Transport: &http.Transport{}}}
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
			return nil, errors.Join(fmt.Errorf("start loki: %w", err), os.RemoveAll(dir))
		}
	}
}

// URL is Loki's base URL.
func (l *Loki) URL() string { return "http://" + l.addr() }

func (l *Loki) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.http)) }

// Dir is the folder with all that this Loki keeps; [Loki.Close] removes it.
func (l *Loki) Dir() string { return l.dir }

// Pid is Loki's process, for those who measure it; 0 when it does not run.
func (l *Loki) Pid() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.child == nil || l.child.ended() {
		return 0
	}
	return l.child.process.Pid
}

// Exited is closed when the process that runs now has ended, for whatever reason. After a
// [Loki.Restart] there is another.
func (l *Loki) Exited() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.child == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	return l.child.done
}

// Stop ends Loki in order: requests in flight get a second to finish, the data stays. It returns
// when Loki is gone.
func (l *Loki) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
}

func (l *Loki) stop() {
	if l.child != nil {
		l.child.stop(syscall.SIGTERM, stopWithin)
	}
}

// Kill ends Loki at once, as a crash would. It returns when Loki is gone.
func (l *Loki) Kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.child != nil {
		l.child.kill()
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

// Close stops Loki, by force when it takes too long, and removes its folder. The second call does nothing.
func (l *Loki) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.stop()
	l.client.CloseIdleConnections()
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("remove loki's folder: %w", err)
	}
	return nil
}

// choosePorts finds two free ports below those that the system gives to outgoing connections (32768
// and up on Linux, 49152 on macOS): a Loki that is restarted will find them free again.
func (l *Loki) choosePorts() error {
	var free []int
	for try := 0; len(free) < 2; try++ {
		if try == 1000 {
			return errors.New("no free port between 20000 and 32000")
		}
		port := 20000 + rand.IntN(12000) //nolint:gosec // to be rarely taken, not to be hard to guess
		if len(free) == 1 && free[0] == port {
			continue
		}
		listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return err
		}
		free = append(free, port)
	}
	l.http, l.grpc = free[0], free[1]
	return nil
}

// start runs Loki on the ports chosen, and leaves no process behind when it does not become ready.
func (l *Loki) start(ctx context.Context) error {
	config, err := l.writeConfig()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(l.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own copy

	//nolint:gosec,noctx // the binary is the caller's choice, and it runs longer than ctx
	cmd := exec.Command(l.options.Binary, append([]string{"-config.file=" + config}, l.options.Args...)...)
	cmd.Dir = l.dir
	// Nothing of our environment, which could switch on tracing or lead it to a cloud store.
	cmd.Env = []string{"HOME=" + l.dir, "TMPDIR=" + l.dir}
	cmd.Stdout, cmd.Stderr = log, log
	c, err := startChild(cmd)
	if err != nil {
		return err
	}
	if err := l.waitReady(ctx, c); err != nil {
		c.kill()
		said := l.lastWords()
		if strings.Contains(said, "address already in use") {
			err = errPortTaken
		}
		return fmt.Errorf("%w; the last it said:\n%s", err, said)
	}
	l.child = c
	return nil
}

func (l *Loki) writeConfig() (path string, err error) {
	var text bytes.Buffer
	err = configTemplate.Execute(&text, map[string]any{
		"MultiTenant":     l.options.MultiTenant,
		"PersistPatterns": l.options.PersistPatterns,
		"HTTPPort":        l.http,
		"GRPCPort":        l.grpc,
		"Dir":             l.dir,
		"Chunks":          filepath.Join(l.dir, "chunks"),
		"Rules":           filepath.Join(l.dir, "rules"),
	})
	if err != nil {
		return "", err
	}
	path = filepath.Join(l.dir, "loki.yaml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// waitReady returns when this very process serves queries.
func (l *Loki) waitReady(ctx context.Context, c *child) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not ready within %s", readyWithin))
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.done:
			return fmt.Errorf("it ended at once (%v)", c.err) //nolint:errorlint // an exit status tells a program nothing
		case <-tick.C:
		}
		if _, err := l.get(ctx, "/ready"); err != nil {
			continue
		}
		// Another Loki may have got the port first, and respond in the place of ours, which is about
		// to give up. The folder in its configuration shows which one it is.
		config, err := l.get(ctx, "/config")
		if err != nil {
			continue
		}
		if !bytes.Contains(config, []byte(l.dir)) {
			return errPortTaken
		}
		return nil
	}
}

// get requests something of Loki itself, not of the API of any tenant.
func (l *Loki) get(ctx context.Context, path string) ([]byte, error) {
	return l.do(ctx, http.MethodGet, path, nil, nil, http.StatusOK)
}

// do sends one request and takes one status alone for success.
func (l *Loki) do(ctx context.Context, method, path string, header http.Header, body []byte, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, l.URL()+path, bytes.NewReader(body))
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

func (l *Loki) logPath() string { return filepath.Join(l.dir, "loki.log") }

// lastWords are the last lines of Loki's log, for an error message.
func (l *Loki) lastWords() string {
	const lines = 15
	text, err := os.ReadFile(l.logPath())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
