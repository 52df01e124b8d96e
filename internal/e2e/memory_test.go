package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/lokitest"
)

// TestMemoryOfLargeResponses guarantees that logfence's memory does not grow with its responses: the process
// that serves users, while 8 clients each pull 100 MB at the same time. Loki is a fake here that makes
// its responses as it goes; a real one would need gigabytes of its own for them.
func TestMemoryOfLargeResponses(t *testing.T) {
	const clients, size = 8, 100 << 20
	upstream := lokitest.New(t)
	g, err := startGateway(t.Context(), on.binary, on.issuer, upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	})
	token, err := on.issuer.Token(demo.Claims{Subject: "memory", Tenant: demo.Alpha})
	if err != nil {
		t.Fatal(err)
	}
	idle := memoryOf(t, g.cmd.Process.Pid, "VmRSS")
	upstream.Instead(lokitest.Generate(size))
	var pulls errgroup.Group
	for range clients {
		pulls.Go(func() error { return pull(t, g.public, token, size) })
	}
	if err := pulls.Wait(); err != nil {
		t.Fatal(err)
	}
	peak := memoryOf(t, g.cmd.Process.Pid, "VmHWM")
	t.Logf("resident memory: idle %d MB, at most %d MB while %d clients pulled %d MB each", idle>>20, peak>>20, clients, size>>20)
	if peak-idle > size/2 {
		t.Errorf("memory grew by %d MB", (peak-idle)>>20)
	}
}

// pull reads a response to its end.
func pull(t *testing.T, base, token string, size int64) error {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/logs/query?query=%7B%7D", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err == nil && n < size {
		err = fmt.Errorf("%d %s: %d bytes", response.StatusCode, response.Status, n)
	}
	return err
}

// memoryOf reads a line of /proc/PID/status, in bytes: VmRSS is what is resident now, VmHWM the most
// that ever was.
func memoryOf(t *testing.T, pid int, name string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("this system does not tell the memory of a process: %v", err)
	}
	_, rest, _ := strings.Cut(string(status), name+":")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatalf("%s in /proc/%d/status: %v", name, pid, err)
	}
	return kilobytes << 10
}
