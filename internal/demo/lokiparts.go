package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// role is what one process of Loki's does: all of it, or the part of it that a target of Loki's names.
type role string

const (
	roleAll      role = "all"
	roleFrontend role = "query-frontend"
	roleQuerier  role = "querier"
	roleWrite    role = "write"
	roleBackend  role = "backend"

	roleRead = roleFrontend // where queries go, for [Loki.role]
)

// part is one process of a Loki.
type part struct {
	role               role
	name               string // of its folder, and in Loki's rings
	http, grpc, gossip int    // ports
	child              *child
	logged             int64 // bytes that its log had before it was started last
}

// partsOf are the processes of a Loki, in the order in which a request passes through them.
func partsOf(o LokiOptions) []*part {
	if !o.Separate {
		return []*part{{role: roleAll}}
	}
	parts := []*part{{role: roleFrontend}, {role: roleQuerier}}
	for range max(o.Replicas, 1) {
		parts = append(parts, &part{role: roleWrite})
	}
	parts = append(parts, &part{role: roleBackend})
	for i, p := range parts {
		p.name = fmt.Sprint(p.role, "-", i)
	}
	return parts
}

// writers are the processes with an ingester.
func (l *Loki) writers() (writers []*part) {
	for _, p := range l.parts {
		if p.role == roleWrite || p.role == roleAll {
			writers = append(writers, p)
		}
	}
	return writers
}

// role is the first process that has the role.
func (l *Loki) role(r role) *part {
	for _, p := range l.parts {
		if p.role == r {
			return p
		}
	}
	return l.parts[0] // one for everything
}

func (p *part) url() string { return "http://" + address(p.http) }

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Ports lie below those that the system gives to outgoing connections (32768 and up on Linux, 49152 on macOS): a
// Loki that is restarted finds its own free again.
const (
	firstPort  = 20000
	portBlocks = 600
	blockSize  = 20 // one to reserve the block, and three for each of up to six processes
)

// choosePorts reserves a block of ports until [Loki.Close]. The first port of a block is held by a listener of
// ours, so that no other Loki of this package takes the block, in any process and even while this one restarts.
func (l *Loki) choosePorts() error {
	l.releasePorts()
	for range 10 * portBlocks {
		first := firstPort + blockSize*rand.IntN(portBlocks) //nolint:gosec // to be rarely taken, not to be hard to guess
		reserved, err := listenOn(first)
		if err != nil {
			continue
		}
		l.reserved = reserved
		if l.assignPorts(first + 1) {
			return nil
		}
		l.releasePorts()
	}
	return fmt.Errorf("no free ports between %d and %d", firstPort, firstPort+blockSize*portBlocks)
}

// assignPorts gives the processes the ports from next on, and reports whether all are free.
func (l *Loki) assignPorts(next int) bool {
	for _, p := range l.parts {
		for _, port := range []*int{&p.http, &p.grpc, &p.gossip} {
			*port = next
			next++
			listener, err := listenOn(*port)
			if err != nil || listener.Close() != nil {
				return false
			}
		}
	}
	return true
}

func (l *Loki) releasePorts() {
	if l.reserved != nil {
		_ = l.reserved.Close()
		l.reserved = nil
	}
}

func listenOn(port int) (*net.TCPListener, error) {
	return net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
}

// start runs Loki on the ports chosen, and leaves no process behind when it does not become ready.
func (l *Loki) start(ctx context.Context) error {
	for _, p := range slices.Backward(l.parts) { // each finds those there that it connects to
		if err := l.launch(p); err != nil {
			l.kill()
			return err
		}
	}
	for _, p := range l.parts {
		if err := l.waitReady(ctx, p); err != nil {
			l.kill()
			said := l.lastWords(p)
			if strings.Contains(said, "address already in use") {
				err = errPortTaken
			}
			return fmt.Errorf("%w; the last it said:\n%s", err, said)
		}
	}
	if l.options.Separate {
		if err := l.waitMet(ctx); err != nil {
			l.kill()
			return err
		}
	}
	return nil
}

// metWithin is how long one query may take that may have gone to a process before it knew the others.
const metWithin = 5 * time.Second

// waitMet returns when the processes have found each other, so that a query reaches the ingester: each is ready before that.
func (l *Loki) waitMet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		attempt, done := context.WithTimeout(ctx, metWithin)
		_, err := l.do(attempt, l.role(roleRead), http.MethodGet, "/loki/api/v1/labels", http.Header{"X-Scope-Orgid": {"nobody"}}, nil, http.StatusOK)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the processes have not found each other within %s: %w; the last that the querier said:\n%s", readyWithin, err, l.lastWords(l.role(roleQuerier)))
		}
	}
}

func (l *Loki) launch(p *part) error {
	if err := os.MkdirAll(l.dirOf(p), 0o750); err != nil {
		return err
	}
	config, err := l.writeConfig(p)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(l.logPath(p), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own copy
	if p.logged, err = log.Seek(0, io.SeekEnd); err != nil {
		return err
	}

	//nolint:gosec,noctx // the binary is the caller's choice, and it runs longer than the start's context
	cmd := exec.Command(l.options.Binary, l.args(p, config)...)
	cmd.Dir = l.dirOf(p)
	// Nothing of our environment, which could switch on tracing or lead it to a cloud store.
	cmd.Env = []string{"HOME=" + cmd.Dir, "TMPDIR=" + cmd.Dir}
	cmd.Stdout, cmd.Stderr = log, log
	p.child, err = startChild(cmd)
	return err
}

// args is the command line: the target, what is switched on, and the caller's, which win.
func (l *Loki) args(p *part, config string) []string {
	args := []string{"-config.file=" + config, "-target=" + string(p.role)}
	if l.options.PersistPatterns {
		to := address(l.role(roleWrite).http)
		args = append(args,
			"-limits.pattern-persistence-enabled=true",
			"-pattern-ingester.pattern-persistence.loki-address="+to, "-pattern-ingester.pattern-persistence.push-period=1s",
			"-pattern-ingester.metric-aggregation.loki-address="+to, "-pattern-ingester.metric-aggregation.push-period=1s")
	}
	if l.options.Separate {
		args = append(args, l.meeting(p)...)
	}
	return append(args, l.options.Args...)
}

// meeting is how the processes find each other: the ring by gossip, the rest by address.
func (l *Loki) meeting(p *part) []string {
	backend := l.role(roleBackend)
	args := []string{
		"-common.storage.ring.store=memberlist", "-memberlist.advertise-addr=127.0.0.1",
		"-memberlist.bind-port=" + strconv.Itoa(p.gossip), "-memberlist.advertise-port=" + strconv.Itoa(p.gossip), "-memberlist.abort-if-join-fails=false",
		"-frontend.scheduler-address=" + address(backend.grpc), "-querier.scheduler-address=" + address(backend.grpc),
		"-tsdb.shipper.index-gateway-client.server-address=" + address(backend.grpc),
		"-ingester.lifecycler.ID=" + p.name, "-pattern-ingester.lifecycler.ID=" + p.name, "-distributor.ring.instance-id=" + p.name,
		"-common.compactor-address=" + backend.url(), "-frontend.tail-proxy-url=" + l.role(roleQuerier).url(),
	}
	for _, other := range l.parts {
		args = append(args, "-memberlist.join="+address(other.gossip))
	}
	return args
}

func (l *Loki) writeConfig(p *part) (path string, err error) {
	var text bytes.Buffer
	err = configTemplate.Execute(&text, map[string]any{
		"MultiTenant": l.options.MultiTenant,
		"HTTPPort":    p.http,
		"GRPCPort":    p.grpc,
		"Replicas":    max(l.options.Replicas, 1),
		"Dir":         l.dirOf(p),
		"Chunks":      filepath.Join(l.dir, "chunks"), // the store, which all share
		"Rules":       filepath.Join(l.dir, "rules"),
	})
	if err != nil {
		return "", err
	}
	path = filepath.Join(l.dirOf(p), "loki.yaml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// waitReady returns when this very process serves requests.
func (l *Loki) waitReady(ctx context.Context, p *part) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("%s is not ready within %s", p.role, readyWithin))
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.child.done:
			return fmt.Errorf("it ended at once (%v)", p.child.err) //nolint:errorlint // an exit status tells a program nothing
		case <-tick.C:
		}
		if _, err := l.get(ctx, p, "/ready"); err != nil {
			continue
		}
		// Another Loki may have got the port first, and respond in the place of ours, which is about
		// to give up. The folder in its configuration shows which one it is.
		config, err := l.get(ctx, p, "/config")
		if err != nil {
			continue
		}
		if !bytes.Contains(config, []byte(l.dir)) {
			return errPortTaken
		}
		return nil
	}
}

// dirOf is the folder of one process: all of Loki's where there is but one.
func (l *Loki) dirOf(p *part) string {
	if p.role == roleAll {
		return l.dir
	}
	return filepath.Join(l.dir, p.name)
}

func (l *Loki) logPath(p *part) string { return filepath.Join(l.dirOf(p), "loki.log") }

// endsWithin is how long a process may still be found running that closes its connections because it ends.
const endsWithin = 2 * time.Second

// whyGone is how a process ended that should run, with its last words; nil while it runs.
func (l *Loki) whyGone(r role) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.role(r)
	if p.child == nil {
		return nil
	}
	select {
	case <-p.child.done:
	case <-time.After(endsWithin):
		return nil
	}
	return fmt.Errorf("%w (%s): %v; the last it said:\n%s", ErrEnded, p.role, p.child.err, l.lastWords(p)) //nolint:errorlint // an exit status tells a program nothing
}

// lastWords are the first errors and the last lines of a process's log, for an error message: the module that
// failed first tells why, and the other modules end after it.
func (l *Loki) lastWords(p *part) string {
	const errorLines, lastLines = 5, 15
	text, err := os.ReadFile(l.logPath(p))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text[min(p.logged, int64(len(text))):])), "\n")
	last := max(0, len(all)-lastLines)
	var words []string
	for _, line := range all[:last] {
		if strings.Contains(line, "level=error") && len(words) < errorLines {
			words = append(words, line)
		}
	}
	return strings.Join(append(words, all[last:]...), "\n")
}
