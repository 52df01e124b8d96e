package limits

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/logfence/logfence/internal/tenant"
)

// Quota is what is left of a tenant's requests; of several tenants', the least.
type Quota struct {
	Remaining int
	// Reset is when all of them are there again; where none is left, when one is.
	Reset time.Duration
	// Burst is how many there are after a rest, and Window in how long they are granted anew.
	Burst  int
	Window time.Duration
}

// buckets count the requests of each tenant.
type buckets struct {
	mu sync.Mutex
	of map[tenant.Name]*bucket
	// swept is how many buckets were left when the full ones were last forgotten.
	swept int
}

// bucket is one tenant's. It remembers its limits, which the operator may change.
type bucket struct {
	*rate.Limiter

	rate, burst int
}

// leastSwept is how many tenants are remembered at least, full buckets and all.
const leastSwept = 1024

// draw takes one request from each tenant's bucket, or from none where one is empty. Without commit it
// only looks.
func (b *buckets) draw(now time.Time, tenants []member, commit bool) (Quota, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var least Quota
	granted := true
	for i, t := range tenants {
		q, ok := quotaOf(b.bucket(t, now).TokensAt(now), t.limits)
		if granted = granted && ok; i == 0 || q.stricter(least) {
			least = q
		}
	}
	if !granted || !commit {
		return least, granted
	}
	for _, t := range tenants {
		b.of[t.name].AllowN(now, 1)
	}
	least.Remaining--
	least.Reset += least.Window / time.Duration(least.Burst)
	return least, true
}

// commit is draw for a request that was granted elsewhere.
func (b *buckets) commit(now time.Time, tenants []member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range tenants {
		b.bucket(t, now).AllowN(now, 1)
	}
}

// quotaOf is the quota of a bucket with so many tokens in it.
func quotaOf(tokens float64, l *Limits) (Quota, bool) {
	each := time.Second / time.Duration(l.Rate)
	q := Quota{Burst: l.Burst, Window: time.Duration(l.Burst) * each, Remaining: max(int(tokens), 0)}
	if tokens < 1 {
		q.Reset = time.Duration((1 - tokens) * float64(each))
		return q, false
	}
	q.Reset = time.Duration((float64(l.Burst) - tokens) * float64(each))
	return q, true
}

// stricter reports whether a quota is less than another.
func (q Quota) stricter(than Quota) bool {
	if q.Remaining != than.Remaining {
		return q.Remaining < than.Remaining
	}
	return q.Reset > than.Reset
}

func (b *buckets) bucket(t member, now time.Time) *bucket {
	own := b.of[t.name]
	switch {
	case own == nil:
		b.sweep(now)
		own = &bucket{Limiter: rate.NewLimiter(rate.Limit(t.limits.Rate), t.limits.Burst), rate: t.limits.Rate, burst: t.limits.Burst}
		b.of[t.name] = own
	case own.rate != t.limits.Rate || own.burst != t.limits.Burst:
		own.SetLimitAt(now, rate.Limit(t.limits.Rate))
		own.SetBurstAt(now, t.limits.Burst)
		own.rate, own.burst = t.limits.Rate, t.limits.Burst
	}
	return own
}

// sweep forgets full buckets, which are as good as new ones, when there are twice as many as were left the
// last time: so its cost for each new tenant stays small.
func (b *buckets) sweep(now time.Time) {
	if len(b.of) < max(2*b.swept, leastSwept) {
		return
	}
	for name, own := range b.of {
		if own.TokensAt(now) >= float64(own.burst) {
			delete(b.of, name)
		}
	}
	b.swept = len(b.of)
}
