package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// patience is how long a process may take to start or to stop, on a machine under load.
const patience = poll.Patience

// gateway is a running `logfence serve`.
type gateway struct {
	public, admin string // base URLs
	cmd           *exec.Cmd
	exited        chan struct{} // closed when the process has ended, and its log has been read
	err           error         // how it ended; to be read after exited

	mu  sync.Mutex
	log bytes.Buffer
}

// startGateway starts logfence as an operator does, with settings from the environment alone, and
// returns when it says that it is ready.
func startGateway(ctx context.Context, binary string, issuer *demo.Issuer, loki string, settings ...string) (*gateway, error) {
	g := &gateway{exited: make(chan struct{}), cmd: exec.Command(binary, "serve")}
	g.cmd.Env = append(append(settingsFor(issuer, loki), "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0"), settings...)
	if err := g.start(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// startWithout starts a logfence without some of the settings that others have, by their prefix.
func startWithout(ctx context.Context, prefix string, issuer *demo.Issuer, loki string, args []string, settings ...string) (*gateway, error) {
	g := &gateway{exited: make(chan struct{}), cmd: exec.Command(on.binary, append([]string{"serve"}, args...)...)}
	for _, setting := range append(settingsFor(issuer, loki), settings...) {
		if !strings.HasPrefix(setting, prefix) {
			g.cmd.Env = append(g.cmd.Env, setting)
		}
	}
	g.cmd.Env = append(g.cmd.Env, "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0")
	if err := g.start(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// settingsFor are the least that a gateway needs, and a rate for tests, which send more than users do: what
// comes later in the environment wins.
func settingsFor(issuer *demo.Issuer, loki string) []string {
	settings := []string{
		"LOGFENCE_LOKI_URL=" + loki,
		"LOGFENCE_JWT_ISSUER=" + issuer.URL(),
		"LOGFENCE_JWT_JWKS_URL=" + issuer.JWKSURL(),
		"LOGFENCE_JWT_AUDIENCE=" + demo.Audience,
		"LOGFENCE_DANGEROUSLY_ALLOW_HTTP_JWKS=true",
		"LOGFENCE_TENANT_RATE=100000", "LOGFENCE_TENANT_BURST=100000",
	}
	if org := on.configuration.OrgID; org != "" {
		settings = append(settings, "LOGFENCE_LOKI_ORG_ID="+org)
	}
	return settings
}

// start returns when logfence says that it is ready.
func (g *gateway) start(ctx context.Context) error {
	if err := g.launch(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := g.waitReady(ctx); err != nil {
		return errors.Join(err, g.stop())
	}
	return nil
}

// launch returns when logfence listens.
func (g *gateway) launch(ctx context.Context) error {
	said, err := g.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := g.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan [2]string, 1)
	go func() {
		defer close(g.exited)
		g.read(said, ready)
		g.err = g.cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case addr := <-ready:
		g.public, g.admin = "http://"+addr[0], "http://"+addr[1]
	case <-g.exited:
		return fmt.Errorf("logfence ended at its start: %w\n%s", g.err, g.said())
	case <-ctx.Done():
		return errors.Join(ctx.Err(), g.stop())
	}
	return nil
}

// read keeps the log, and finds in it where logfence listens.
func (g *gateway) read(said io.Reader, ready chan<- [2]string) {
	for lines := bufio.NewReader(said); ; {
		line, err := lines.ReadBytes('\n')
		g.mu.Lock()
		g.log.Write(line)
		g.mu.Unlock()
		if len(line) > 0 {
			noteLine(line)
		}
		var entry struct {
			Msg   string
			Addr  string
			Admin string `json:"admin_addr"`
		}
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "ready" {
			ready <- [2]string{entry.Addr, entry.Admin}
		}
		if err != nil {
			return
		}
	}
}

// waitReady returns when the admin listener says that keys and Loki are there.
func (g *gateway) waitReady(ctx context.Context) error {
	last := ""
	err := poll.Until(ctx, func() (bool, error) {
		status, said, err := get(ctx, g.admin+"/readyz")
		last = fmt.Sprint(status, " ", string(said), err)
		return err == nil && status == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("logfence is not ready: %s: %w", last, err)
	}
	return nil
}

// stop sends SIGTERM to logfence and reports whether it ended in order. The second call does nothing.
func (g *gateway) stop() error {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return g.ended()
}

// ended waits for the end of a logfence that got SIGTERM, and reports whether it ended in order.
func (g *gateway) ended() error {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case <-g.exited:
	case <-enough.C:
		_ = g.cmd.Process.Kill()
		<-g.exited
		return errors.New("logfence did not stop")
	}
	if g.err != nil {
		return fmt.Errorf("logfence ended badly: %w\n%s", g.err, tail(g.said()))
	}
	return nil
}

// said is the log so far.
func (g *gateway) said() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.Clone(g.log.Bytes())
}

func tail(log []byte) []byte { return log[max(0, len(log)-4000):] }

// httpClient is for everything; its idle connections are closed at the end.
var httpClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

func get(ctx context.Context, url string) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := httpClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}
