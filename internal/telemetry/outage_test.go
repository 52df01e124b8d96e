package telemetry_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/testlog"
)

// TestOutageIsSummedUp guarantees that of the requests which are refused while Loki is known to be down the log has the first, and a
// count of the others every ten seconds, that no other line is left out, and that the end of the process loses no count.
func TestOutageIsSummedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log testlog.Buffer
		r := telemetry.NewRecorder(slog.New(slog.NewTextHandler(&log, nil)))
		record := func(status int, code string) {
			r.Record(t.Context(), audit.AccessRecord{Operation: "queryLogs", Status: status, Code: code})
		}
		lines := func(want ...string) {
			t.Helper()
			synctest.Wait()
			got := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
			if len(got) != len(want) {
				t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), log.String())
			}
			for i := range want {
				if !strings.Contains(got[i], want[i]) {
					t.Errorf("line %d is %s, want %s", i, got[i], want[i])
				}
			}
		}
		for range 1000 {
			record(http.StatusServiceUnavailable, "loki_unavailable")
		}
		record(http.StatusOK, "")
		record(http.StatusBadGateway, "loki_failed")
		lines("code=loki_unavailable", "status=200", "code=loki_failed")
		time.Sleep(10 * time.Second)
		lines("code=loki_unavailable", "status=200", "code=loki_failed", "requests=999 within=10s")
		record(http.StatusServiceUnavailable, "loki_unavailable")
		time.Sleep(20 * time.Second)
		lines("", "", "", "", "requests=1 within=10s")
		// The outage is over: the next one begins with its first request.
		record(http.StatusServiceUnavailable, "loki_unavailable")
		record(http.StatusServiceUnavailable, "loki_unavailable")
		r.Close()
		lines("", "", "", "", "", "status=503 code=loki_unavailable", "requests=1 within=10s")
		record(http.StatusServiceUnavailable, "loki_unavailable")
		lines("", "", "", "", "", "", "", "status=503")
	})
}
