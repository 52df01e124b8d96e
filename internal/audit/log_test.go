package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/tenant"
)

func requested() AccessRecord {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	return AccessRecord{
		Time: at, RequestID: "r1", Tenants: []tenant.Name{"acme", "beta"}, Subject: "alice", Issuer: "https://issuer.example",
		Operation: "queryLogs", Requested: []string{`{app="web"} |= "<a>"`}, Fenced: []string{`{tenant_id=~"acme|beta",app="web"} |= "<a>"`},
		Start: at.Add(-time.Hour), End: at, Client: netip.MustParseAddr("192.0.2.1"),
	}
}

func completed() AccessRecord {
	d := requested()
	d.Status, d.Bytes, d.Duration = 200, 512, 30*time.Millisecond
	return d
}

// openAudit opens an audit for a test, with its log.
func openAudit(t *testing.T, c Config) (*Log, *bytes.Buffer) {
	t.Helper()
	if c.Queries == "" {
		c.Queries = Text
	}
	var log bytes.Buffer
	a, err := Open(c, &log, slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a, &log
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

// TestAuditRecord guarantees the record of a decision, field by field: auditors search in it for years.
func TestAuditRecord(t *testing.T) {
	const who = `"time":"2026-11-23T10:00:00Z","request_id":"r1","subject":"alice","issuer":"https://issuer.example",` +
		`"tenants":["acme","beta"],"client":"192.0.2.1","operation":"queryLogs",`
	const texts = `"query":["{app=\"web\"} |= \"<a>\""],"fenced":["{tenant_id=~\"acme|beta\",app=\"web\"} |= \"<a>\""],`
	const span = `"start":"2026-11-23T09:00:00Z","end":"2026-11-23T10:00:00Z"`
	for _, tt := range []struct {
		name     string
		decision AccessRecord
		want     string
	}{
		{"granted", completed(), `{"type":"audit","stage":"response",` + who + texts + span +
			`,"outcome":"granted","status":200,"bytes":512,"duration_seconds":0.03}`},
		{
			"refused before anything was known",
			AccessRecord{Time: requested().Time, Status: 401, Code: "invalid_token", Cause: errors.New("token " + token)},
			`{"type":"audit","stage":"response","time":"2026-11-23T10:00:00Z","outcome":"refused","code":"invalid_token","status":401,"bytes":0,"duration_seconds":0}`,
		},
		{
			"failed",
			AccessRecord{Time: requested().Time, Status: 502, Code: "loki_unreachable"},
			`{"type":"audit","stage":"response","time":"2026-11-23T10:00:00Z","outcome":"failed","code":"loki_unreachable","status":502,"bytes":0,"duration_seconds":0}`,
		},
		{
			"cut off within the response",
			AccessRecord{Time: requested().Time, Status: 200, Code: "loki_failed", Bytes: 7},
			`{"type":"audit","stage":"response","time":"2026-11-23T10:00:00Z","outcome":"failed","code":"loki_failed","status":200,"bytes":7,"duration_seconds":0}`,
		},
		{
			"the client disconnected",
			AccessRecord{Time: requested().Time, Status: 499, Code: "client_closed_request"},
			`{"type":"audit","stage":"response","time":"2026-11-23T10:00:00Z","outcome":"failed","code":"client_closed_request","status":499,"bytes":0,"duration_seconds":0}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			a, _ := openAudit(t, Config{Log: path})
			if err := a.Begin(tt.decision); err != nil { // not required: writes nothing
				t.Fatal(err)
			}
			a.Record(tt.decision)
			if got := lines(t, path); len(got) != 1 || got[0] != tt.want {
				t.Errorf("recorded\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestAuditHash guarantees that hashes stand for the texts: nothing of a query is there, and who knows
// a query can look for it.
func TestAuditHash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, _ := openAudit(t, Config{Log: path, Queries: Hash})
	d := completed()
	d.Requested, d.Fenced = []string{"abc"}, []string{"abc", ""}
	a.Record(d)
	line := lines(t, path)[0]
	const abc, empty = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", // FIPS 180-2, appendix B.1
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if want := `"query":["` + abc + `"],"fenced":["` + abc + `","` + empty + `"]`; !strings.Contains(line, want) {
		t.Errorf("got %s\nwant in it %s", line, want)
	}
}

// TestAuditRequired guarantees that where records are required one is written before the response, and
// that a full disk refuses requests from its first moment to its last, leaving a record of the gap.
func TestAuditRequired(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, log := openAudit(t, Config{Log: path, Required: true})
	if err := a.Begin(requested()); err != nil {
		t.Fatal(err)
	}
	a.Record(completed())
	got := lines(t, path)
	if len(got) != 2 || !strings.HasPrefix(got[0], `{"type":"audit","stage":"request",`) || strings.Contains(got[0], "status") ||
		!strings.HasPrefix(got[1], `{"type":"audit","stage":"response",`) {
		t.Fatalf("recorded %s", got)
	}

	file := a.sink
	a.sink = &fullDisk{after: 10}
	for range 3 {
		if err := a.Begin(requested()); !errors.Is(err, ErrNotRecorded) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Begin on a full disk: %v", err)
		}
		if err := a.Ready(); err == nil {
			t.Fatal("ready on a full disk")
		}
	}
	if n := strings.Count(log.String(), "audit records are not written"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log)
	}
	a.sink = file
	if err := a.Ready(); err != nil {
		t.Fatalf("not ready when there is room again: %v", err)
	}
	if err := a.Begin(requested()); err != nil {
		t.Fatal(err)
	}
	got = lines(t, path)
	// The disk took the beginning of a line, so the next begins a new one.
	if len(got) != 5 || got[2] != "" || !strings.Contains(got[3], `"stage":"gap"`) || !strings.Contains(got[3], `"lost":3`) {
		t.Errorf("after the gap:\n%s", strings.Join(got, "\n"))
	}
	if got := a.Stats(); got.Lost != 3 || got.Written != 4 {
		t.Errorf("Stats() = %+v", got)
	}
}

// fullDisk takes so many bytes and then no more.
type fullDisk struct{ after int }

func (f *fullDisk) Write(p []byte) (int, error) {
	n := min(f.after, len(p))
	f.after -= n
	return n, syscall.ENOSPC
}

// TestAuditFullDevice guarantees the same of a real device, through the system's own error.
func TestAuditFullDevice(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /dev/full on " + runtime.GOOS)
	}
	a, _ := openAudit(t, Config{Log: "/dev/full", Required: true})
	if err := a.Begin(requested()); !errors.Is(err, ErrNotRecorded) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Begin: %v", err)
	}
	optional, log := openAudit(t, Config{Log: "/dev/full"})
	if err := optional.Begin(requested()); err != nil {
		t.Errorf("Begin where records are not required: %v", err)
	}
	optional.Record(completed())
	if optional.Stats().Lost != 1 || !strings.Contains(log.String(), "no space left") || optional.Ready() != nil {
		t.Errorf("the loss is not reported: %+v\n%s", optional.Stats(), log)
	}
}

// TestAuditRotation guarantees that rename and Reopen lose no record and cut none, under load.
func TestAuditRotation(t *testing.T) {
	const writers, each, rotations = 8, 50, 5
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, _ := openAudit(t, Config{Log: path})
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range each {
				a.Record(completed())
			}
		})
	}
	files := []string{path}
	for n := range rotations {
		rotated := fmt.Sprintf("%s.%d", path, n)
		if err := os.Rename(path, rotated); err != nil {
			t.Fatal(err)
		}
		if err := a.Reopen(); err != nil {
			t.Fatal(err)
		}
		files = append(files, rotated)
	}
	writing.Wait()
	a.Record(completed())
	records := 0
	for _, file := range files {
		for _, line := range lines(t, file) {
			if line != "" && !json.Valid([]byte(line)) {
				t.Fatalf("not one record: %s", line)
			} else if line != "" {
				records++
			}
		}
	}
	if records != writers*each+1 {
		t.Errorf("%d records of %d", records, writers*each+1)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new file: %v, %v", info.Mode(), err)
	}
}

// TestAuditReopenFails guarantees that records go on into the old file when there can be no new one.
func TestAuditReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a, _ := openAudit(t, Config{Log: filepath.Join(dir, "audit.jsonl"), Required: true})
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := a.Reopen(); err == nil {
		t.Fatal("reopened in a folder that is not there")
	}
	if err := a.Begin(requested()); err != nil {
		t.Errorf("Begin: %v", err)
	}
	if got := lines(t, filepath.Join(dir+".old", "audit.jsonl")); len(got) != 1 {
		t.Errorf("recorded %q", got)
	}
}

// TestAuditAppends guarantees that a new process goes on where the last one stopped, on a line of its
// own even if that one was killed within a line.
func TestAuditAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte("{\"complete\":1}\n{\"type\":\"aud"), 0o640); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a, _ := openAudit(t, Config{Log: path})
		a.Record(completed())
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got := lines(t, path)
	if len(got) != 4 || got[0] != `{"complete":1}` || !json.Valid([]byte(got[2])) || !json.Valid([]byte(got[3])) {
		t.Errorf("the file:\n%s", strings.Join(got, "\n"))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode that the operator chose: %v, %v", info.Mode(), err)
	}
}

// TestAuditClosed guarantees that required records are missed rather than lost in silence.
func TestAuditClosed(t *testing.T) {
	a, _ := openAudit(t, Config{Log: filepath.Join(t.TempDir(), "audit.jsonl"), Required: true})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Begin(requested()); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("Begin: %v", err)
	}
}

// TestOpenAudit guarantees what is taken for a sink.
func TestOpenAudit(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name   string
		config Config
		want   string
	}{
		{"a name that is no sink", Config{Log: "stdout", Queries: Text}, `Log: "stdout" is neither off`},
		{"nothing", Config{Queries: Text}, `Log: "" is neither off`},
		{"required and off", Config{Log: Off, Queries: Text, Required: true}, "Required: "},
		{"an unknown way to record queries", Config{Log: Off, Queries: "sha1"}, `Queries: "sha1"`},
		{"a folder", Config{Log: dir, Queries: Text}, "neither a file nor a device"},
		{"in no folder", Config{Log: filepath.Join(dir, "no", "audit"), Queries: Text}, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Open(tt.config, &bytes.Buffer{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open: %v, want %q in it", err, tt.want)
			}
		})
	}
	off, err := Open(Config{Log: Off, Queries: Text}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	off.Record(completed()) // does nothing
	if err := errors.Join(off.Begin(requested()), off.Ready(), off.Reopen(), off.Close()); err != nil {
		t.Errorf("off: %v", err)
	}
	toStderr, log := openAudit(t, Config{Log: Stderr})
	toStderr.Record(completed())
	if err := toStderr.Reopen(); err != nil || !strings.HasPrefix(log.String(), `{"type":"audit"`) {
		t.Errorf("stderr: %v, %s", err, log)
	}
}

// TestNoAuditRecordHoldsAToken guarantees that a token is in no record, in whatever field it came, and
// that a record remains one line of JSON.
func TestNoAuditRecordHoldsAToken(t *testing.T) {
	segment := rapid.StringMatching(`[A-Za-z0-9_-]{10,60}`)
	rapid.Check(t, func(t *rapid.T) {
		secret := "eyJ" + segment.Draw(t, "header") + "." + segment.Draw(t, "payload") + "." + segment.Draw(t, "signature")
		around := rapid.String().Draw(t, "before") + " " + secret + " " + rapid.String().Draw(t, "after")
		var out bytes.Buffer
		a := &Log{config: Config{Log: Stderr, Required: true, Queries: Text}, log: slog.New(slog.DiscardHandler), sink: &out}
		d := AccessRecord{
			RequestID: around, Subject: around, Issuer: around, Tenants: []tenant.Name{tenant.Name(around)}, Operation: around,
			Requested: []string{around, around}, Fenced: []string{around}, Code: around, Cause: errors.New(around),
		}
		if err := a.Begin(d); err != nil {
			t.Fatal(err)
		}
		a.Record(d)
		for _, part := range strings.Split(secret, ".") {
			if strings.Contains(out.String(), part) {
				t.Fatalf("a part of the token is in the record: %s", out.String())
			}
		}
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(got) != 2 || !json.Valid([]byte(got[0])) || !json.Valid([]byte(got[1])) {
			t.Fatalf("not two lines of JSON: %s", out.String())
		}
	})
}

// TestAuditTimeOutOfRange guarantees that a time that JSON cannot hold does not cost its record.
func TestAuditTimeOutOfRange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, _ := openAudit(t, Config{Log: path, Required: true})
	d := completed()
	d.Start = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)) // in UTC, the year 10000
	if err := a.Begin(d); err != nil {
		t.Fatal(err)
	}
	a.Record(d)
	for _, line := range lines(t, path) {
		if !json.Valid([]byte(line)) || strings.Contains(line, `"start"`) || !strings.Contains(line, `"end":"2026-11-23T10:00:00Z"`) {
			t.Errorf("recorded %s", line)
		}
	}
}

func BenchmarkAudit(b *testing.B) {
	a, err := Open(Config{Log: filepath.Join(b.TempDir(), "audit.jsonl"), Queries: Text}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	d := completed()
	b.ReportAllocs()
	for b.Loop() {
		a.Record(d)
	}
}

// TestAuditAggregates guarantees that requests without a tenant, however many, have few records, which count all of
// them; that those with a tenant have one each; and that what is counted is written in ten seconds, or at the end.
func TestAuditAggregates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		a, err := Open(Config{Log: path, Queries: Text, Required: true}, io.Discard, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		const strangers, known = 5000, 300
		for i := range strangers {
			d := AccessRecord{Time: time.Now(), Status: 401, Code: "unauthorized", Bytes: 7}
			if i%5 == 0 {
				d = AccessRecord{Time: time.Now(), Status: 200, Bytes: 1}
				if err := a.Begin(d); err != nil {
					t.Fatal(err)
				}
			}
			a.Record(d)
		}
		for range known {
			a.Record(completed())
		}
		time.Sleep(aggregateEvery)
		synctest.Wait()
		counted := map[int]uint64{}
		records := lines(t, path)
		for _, text := range records {
			var r struct {
				Stage  string
				Status int
				Count  uint64
				Since  time.Time
			}
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			switch {
			case r.Stage == "response":
				r.Count = 1
			case r.Stage != "aggregate" || r.Count == 0 || r.Since.IsZero():
				t.Errorf("unexpected %s", text)
			}
			counted[r.Status] += r.Count
		}
		if counted[401] != strangers*4/5 || counted[200] != strangers/5+known || len(records) != aggregateBurst+known+2 {
			t.Errorf("%d records count %v", len(records), counted)
		}
		for range 2 * aggregateBurst {
			a.Record(AccessRecord{Time: time.Now(), Status: 404, Code: "not_found"})
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, path); !strings.Contains(got[len(got)-1], `"stage":"aggregate"`) {
			t.Errorf("ends with %s", got[len(got)-1])
		}
	})
}
