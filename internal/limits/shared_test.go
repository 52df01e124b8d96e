package limits

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/logfence/logfence/internal/poll"
	"github.com/logfence/logfence/internal/tenant"
	"github.com/logfence/logfence/internal/testlog"
)

// replica is a limiter that shares with others by a Redis.
func replica(t testing.TB, address string, change func(*Config), options ...Option) *Limiter {
	t.Helper()
	c := roomy()
	c.Rate, c.Burst, c.Wait = 1, 100, time.Minute
	c.Redis = RedisConfig{URL: "redis://" + address, Prefix: "test:", Timeout: time.Minute}
	if change != nil {
		change(&c)
	}
	l := newLimiter(t, c, append([]Option{func(l *Limiter) { l.probeEvery = 10 * time.Millisecond }}, options...)...)
	t.Cleanup(l.Close)
	return l
}

// onEach runs a test with the Redis of the tests and, where there is one, with a real one.
func onEach(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("miniredis", func(t *testing.T) { test(t, miniredis.RunT(t).Addr()) })
	t.Run("real", func(t *testing.T) { test(t, realRedis(t)) })
}

// realRedis starts a Redis or Valkey on a socket of its own.
func realRedis(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"redis-server", "valkey-server"} {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := free.Addr().String()
		_, port, _ := net.SplitHostPort(address)
		_ = free.Close()
		c := exec.CommandContext(t.Context(), program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir(),
			"--unixsocket", filepath.Join(t.TempDir(), "s"))
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(strings.ToLower(lines.Text()), "ready to accept connections") {
				go func() {
					for lines.Scan() { // so that it never waits for us
						continue
					}
				}()
				return address
			}
		}
		t.Fatalf("%s did not start", name)
	}
	t.Skip("no redis-server or valkey-server on the PATH: what is shared was tested with miniredis alone")
	return ""
}

// TestReplicasShareTheRate guarantees that requests count wherever they arrive, that a union draws on each
// of its tenants or on none, and that what is told is about all replicas together.
func TestReplicasShareTheRate(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		few := func(c *Config) { c.Burst = 3 }
		a, b := replica(t, address, few), replica(t, address, few)
		for i, l := range []*Limiter{a, b, a} {
			p, err := admit(t.Context(), l, ClassRequest, "acme")
			if err != nil || p.Quota.Remaining != 2-i || p.Quota.Burst != 3 || p.Quota.Window != 3*time.Second {
				t.Fatalf("request %d: %v, and %+v", i, err, p.Quota)
			}
		}
		for _, l := range []*Limiter{a, b} {
			p, err := admit(t.Context(), l, ClassRequest, "acme")
			refused(t, err, LimitRate)
			if p.Quota.Remaining != 0 || p.Quota.Reset <= 0 || p.Quota.Reset > time.Second {
				t.Errorf("told %+v", p.Quota)
			}
			_, err = admit(t.Context(), l, ClassRequest, "acme", "globex")
			refused(t, err, LimitRate)
		}
		for range 3 {
			if _, err := admit(t.Context(), b, ClassRequest, "globex"); err != nil {
				t.Errorf("globex has paid for what was refused: %v", err)
			}
		}
	})
}

// TestReplicasShareWhatIsInFlight guarantees that queries, exports and tails count wherever they run, those
// of a union for each of its tenants, and that a query waits for one that ends elsewhere.
func TestReplicasShareWhatIsInFlight(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		one := func(c *Config) { c.Queries, c.Exports, c.MaxTails = 1, 1, 1 }
		a, b := replica(t, address, one), replica(t, address, one)
		for class, limit := range map[Class]Limit{ClassExport: LimitExports, ClassTail: LimitTails} {
			p, err := admit(t.Context(), a, class, "acme", "globex")
			if err != nil {
				t.Fatal(err)
			}
			for _, tenant := range []string{"acme", "globex"} {
				q, err := admit(t.Context(), b, class, tenant)
				refused(t, err, limit)
				q.Release()
			}
			p.Release()
			poll.Wait(t, "its place is free elsewhere", func() bool {
				q, err := admit(t.Context(), b, class, "acme")
				q.Release()
				return err == nil
			})
		}
		p, err := admit(t.Context(), a, ClassQuery, "acme")
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() {
			q, err := admit(t.Context(), b, ClassQuery, "acme")
			q.Release()
			waited <- err
		}()
		select {
		case err := <-waited:
			t.Fatalf("it did not wait: %v", err)
		case <-time.After(4 * leasePause):
		}
		if q, err := admit(t.Context(), b, ClassQuery, "globex"); err != nil {
			t.Errorf("another tenant waits, too: %v", err)
		} else {
			q.Release()
		}
		p.Release()
		if err := <-waited; err != nil {
			t.Errorf("after it had ended elsewhere: %v", err)
		}
		impatient := replica(t, address, func(c *Config) { one(c); c.Wait = 2 * leasePause })
		p, err = admit(t.Context(), a, ClassTail, "acme")
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
		poll.Wait(t, "a has the query's place", func() bool {
			p, err = admit(t.Context(), a, ClassQuery, "acme")
			return err == nil
		})
		_, err = admit(t.Context(), impatient, ClassQuery, "acme")
		refused(t, err, LimitQueries)
		p.Release()
	})
}

// TestDeadReplicasAreForgotten guarantees that what a replica held that died comes back, and that what lasts
// longer than a lease is held all the same.
func TestDeadReplicasAreForgotten(t *testing.T) {
	m := miniredis.RunT(t)
	clock := time.Now()
	m.SetTime(clock)
	one := func(c *Config) { c.MaxTails = 1 }
	a, b := replica(t, m.Addr(), one), replica(t, m.Addr(), one)
	if _, err := admit(t.Context(), a, ClassTail, "acme"); err != nil {
		t.Fatal(err)
	}
	for range 4 { // it is running, and renews its leases
		clock = clock.Add(leaseTime / 2)
		a.shared.leases.renew(t.Context())
		m.SetTime(clock)
		_, err := admit(t.Context(), b, ClassTail, "acme")
		refused(t, err, LimitTails)
	}
	m.SetTime(clock.Add(leaseTime + time.Second))
	p, err := admit(t.Context(), b, ClassTail, "acme")
	if err != nil {
		t.Errorf("after its leases had ended: %v", err)
	}
	p.Release()
	poll.Wait(t, "nothing is left", func() bool { return len(m.Keys()) == 1 && m.Keys()[0] == "test:rate:acme" })
}

// TestRedisAway guarantees that this process's own limits hold at once where Redis is away, that it is told
// once, and that replicas share again by themselves when it is back, with what is held by then.
func TestRedisAway(t *testing.T) {
	for name, fail := range map[string]func(m *miniredis.Miniredis) (restore func()){
		"gone":      func(m *miniredis.Miniredis) func() { m.Close(); return func() { _ = m.Restart() } },
		"read-only": func(m *miniredis.Miniredis) func() { m.SetError("READONLY"); return func() { m.SetError("") } },
		"started anew": func(m *miniredis.Miniredis) func() {
			m.Close()
			return func() { m.FlushAll(); _ = m.Restart() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := miniredis.RunT(t)
			var log testlog.Buffer
			few := func(c *Config) { c.Burst, c.MaxTails, c.Rate = 5, 1, 1 }
			a := replica(t, m.Addr(), few, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			b := replica(t, m.Addr(), few)
			held, err := admit(t.Context(), a, ClassTail, "acme")
			if err != nil {
				t.Fatal(err)
			}
			restore := fail(m)
			for range 4 {
				p, err := admit(t.Context(), a, ClassRequest, "acme")
				if err != nil {
					t.Errorf("while Redis is away: %v", err)
				}
				p.Release()
			}
			_, err = admit(t.Context(), a, ClassRequest, "acme")
			refused(t, err, LimitRate)
			_, err = admit(t.Context(), a, ClassTail, "globex")
			if err != nil {
				t.Error(err)
			}
			_, err = admit(t.Context(), a, ClassTail, "globex")
			refused(t, err, LimitTails)
			if wanted, now, failures := a.Shared(); !wanted || now || failures == 0 {
				t.Errorf("shared: %t, at present: %t, after %d failures", wanted, now, failures)
			}
			restore()
			poll.Wait(t, "it is shared again", func() bool { _, now, _ := a.Shared(); return now })
			poll.Wait(t, "what is held counts", func() bool {
				p, err := admit(t.Context(), b, ClassTail, "acme")
				p.Release()
				return err != nil
			})
			held.Release()
			if lines := strings.Count(log.String(), "limits are this process's alone"); lines != 1 {
				t.Errorf("told %d times:\n%s", lines, log.String())
			}
		})
	}
}

// TestSlowRedisIsNotWaitedFor guarantees that a Redis which says nothing costs one time-out and not one for
// each request.
func TestSlowRedisIsNotWaitedFor(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	l := replica(t, mute.Addr().String(), func(c *Config) { c.Redis.Timeout = 20 * time.Millisecond }, func(l *Limiter) { l.probeEvery = time.Hour })
	for range 20 {
		p, err := admit(t.Context(), l, ClassQuery, "acme")
		if err != nil {
			t.Error(err)
		}
		p.Release()
	}
	if _, _, failures := l.Shared(); failures != 1 {
		t.Errorf("%d requests waited, want the first alone", failures)
	}
}

// TestCallersLeaving says nothing of Redis.
func TestCallersLeaving(t *testing.T) {
	l := replica(t, miniredis.RunT(t).Addr(), nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := admit(gone, l, ClassQuery, "acme"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, now, failures := l.Shared(); !now || failures > 0 {
		t.Errorf("shared: %t, after %d failures", now, failures)
	}
}

// counted counts round trips.
type counted struct{ trips atomic.Int64 }

func (*counted) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "hello" { // which opens a connection
			c.trips.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (*counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestOneRoundTrip guarantees that a request is one round trip to Redis, whatever it keeps busy and of how many tenants;
// and that one which this process can refuse by itself needs none.
func TestOneRoundTrip(t *testing.T) {
	l := replica(t, miniredis.RunT(t).Addr(), func(c *Config) { c.Burst = 10 })
	if _, err := admit(t.Context(), l, ClassRequest, "warm"); err != nil { // the script is there now
		t.Fatal(err)
	}
	var c counted
	l.shared.client.AddHook(&c)
	var tenants []string
	for i := range 64 {
		tenants = append(tenants, fmt.Sprint("t", i))
	}
	for _, class := range []Class{ClassRequest, ClassQuery, ClassExport, ClassTail} {
		before := c.trips.Load()
		p, err := admit(t.Context(), l, class, tenants...)
		if err != nil {
			t.Fatal(err)
		}
		if n := c.trips.Load() - before; n != 1 {
			t.Errorf("%s: %d round trips", class, n)
		}
		p.Release()
	}
	for range 20 {
		_, _ = admit(t.Context(), l, ClassRequest, "flood")
	}
	if n := c.trips.Load(); n > 4+10 {
		t.Errorf("%d round trips for a flood that is refused here", n-4)
	}
}

// TestTheURLIsNeverShown guarantees that no mistake, and nothing that goes wrong, shows a password.
func TestTheURLIsNeverShown(t *testing.T) {
	const secret = "hunter2"
	for _, u := range []string{
		"http://:hunter2@redis:6379", "redis://:hunter2@redis:port", "redis://u:hunter2@redis/nodb", "hunter2", ":hunter2@redis:6379", "redis://:hunter2@redis?x=hunter2",
		"redis://:hunter2%zz@redis:6379",
	} {
		err := RedisConfig{URL: u, Timeout: time.Second}.Validate()
		if err == nil || strings.Contains(err.Error(), secret) || !strings.HasPrefix(err.Error(), "URL: ") {
			t.Errorf("%s: %v", u, err)
		}
	}
	m := miniredis.RunT(t)
	m.RequireAuth("another")
	var log testlog.Buffer
	l := replica(t, m.Addr(), func(c *Config) { c.Redis.URL = "redis://:" + secret + "@" + m.Addr() }, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if _, err := admit(t.Context(), l, ClassQuery, "acme"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "redis refuses") || strings.Contains(log.String(), secret) {
		t.Errorf("logged %s", log.String())
	}
}

// TestInvalidRepliesAreRefused guarantees that what the script can't have sent counts as no reply.
func TestInvalidRepliesAreRefused(t *testing.T) {
	l := newLimiter(t, roomy())
	tenants := l.Of([]tenant.Name{"a"}).tenants
	for _, reply := range [][]int64{nil, {1}, {1, 0, 5, 0, 0}, {1, 2, 5, 0, 0}, {1, 1, 5, 0, 0, 0}} {
		if _, err := (&shared{}).read(reply, tenants, lease{}); err == nil {
			t.Errorf("%v: taken", reply)
		}
	}
}

// BenchmarkShared is what a request costs with a Redis next door, in this process's own time and round trip.
func BenchmarkShared(b *testing.B) {
	m := miniredis.RunT(b)
	l := replica(b, m.Addr(), func(c *Config) { c.Rate, c.Burst = 1_000_000, 1_000_000 })
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		p, err := admit(ctx, l, ClassQuery, "acme")
		if err != nil {
			b.Fatal(err)
		}
		p.Release()
	}
}

// TestRedisURLFile guarantees that the URL may be in a file, as secrets are, and that each mistake names the field and
// nothing of the file's content.
func TestRedisURLFile(t *testing.T) {
	t.Parallel()
	written := func(content string) string {
		path := filepath.Join(t.TempDir(), "url")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := RedisConfig{URLFile: written("rediss://user:secret@redis:6380/2\n"), Timeout: time.Second}
	o, err := good.options()
	if err != nil || o.Addr != "redis:6380" || o.Password != "secret" || o.DB != 2 || good.Validate() != nil {
		t.Errorf("got %+v, %v, %v", o, err, good.Validate())
	}
	both := good
	both.URL = "redis://redis"
	for name, c := range map[string]RedisConfig{
		"no file":     {URLFile: filepath.Join(t.TempDir(), "none"), Timeout: time.Second},
		"no URL":      {URLFile: written("password"), Timeout: time.Second},
		"empty":       {URLFile: written(""), Timeout: time.Second},
		"two sources": both,
	} {
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "URLFile: ") || strings.Contains(err.Error(), "password\"") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
