package limits

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// TestTryRedis guarantees that a Redis which refuses is distinguished from one that is not reached, and that nothing of its credentials is in
// the error.
func TestTryRedis(t *testing.T) {
	t.Parallel()
	open, locked := miniredis.RunT(t), miniredis.RunT(t)
	locked.RequireUserAuth("logfence", "hunter2")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := free.Addr().String()
	free.Close()
	for url, want := range map[string]string{
		"redis://" + open.Addr():                    "",
		"redis://logfence:hunter2@" + locked.Addr(): "",
		"redis://logfence:hunter3@" + locked.Addr(): "it refuses: WRONGPASS",
		"redis://" + locked.Addr():                  "it refuses: NOAUTH",
		"redis://logfence:hunter2@" + gone:          "cannot be reached: ",
	} {
		err := RedisConfig{URL: url, Prefix: "test:", Timeout: time.Minute}.Try(t.Context())
		if (err == nil) != (want == "") || err != nil && (!strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter")) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	for _, key := range open.Keys() {
		if members, err := open.ZMembers(key); err == nil && len(members) > 0 {
			t.Errorf("%s still holds %v", key, members)
		}
	}
}
