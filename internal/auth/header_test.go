package auth

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestBearerToken guarantees that a request has one token, in one place, or none.
func TestBearerToken(t *testing.T) {
	basic := func(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }
	long := strings.Repeat("a", MaxTokenBytes)
	for _, tt := range []struct {
		name   string
		values []string
		want   string
		bearer error // with BearerToken
		either error // with BearerOrBasicToken
	}{
		{"one", []string{"Bearer a.b-c_d~e+f/g=="}, "a.b-c_d~e+f/g==", nil, nil},
		{"scheme in another letter case", []string{"bEARER abc"}, "abc", nil, nil},
		{"several spaces", []string{"Bearer   abc"}, "abc", nil, nil},
		{"the longest", []string{"Bearer " + long}, long, nil, nil},
		{"none", nil, "", ErrNoToken, ErrNoToken},
		{"another scheme", []string{"Digest abc"}, "", ErrNoToken, ErrNoToken},
		{"a scheme that begins alike", []string{"Bearer2 abc"}, "", ErrNoToken, ErrNoToken},
		{"two headers", []string{"Bearer abc", "Bearer abc"}, "", ErrInvalidToken, ErrInvalidToken},
		{"two headers of two schemes", []string{basic("a:b"), "Bearer abc"}, "", ErrInvalidToken, ErrInvalidToken},
		{"two tokens in one", []string{"Bearer abc, Bearer def"}, "", ErrInvalidToken, ErrInvalidToken},
		{"two tokens with a space", []string{"Bearer abc def"}, "", ErrInvalidToken, ErrInvalidToken},
		{"no token", []string{"Bearer"}, "", ErrInvalidToken, ErrInvalidToken},
		{"only spaces", []string{"Bearer   "}, "", ErrInvalidToken, ErrInvalidToken},
		{"only padding", []string{"Bearer =="}, "", ErrInvalidToken, ErrInvalidToken},
		{"padding in the middle", []string{"Bearer a=b"}, "", ErrInvalidToken, ErrInvalidToken},
		{"a tab", []string{"Bearer\tabc"}, "", ErrNoToken, ErrNoToken},
		{"quoted", []string{`Bearer "abc"`}, "", ErrInvalidToken, ErrInvalidToken},
		{"a byte beyond ASCII", []string{"Bearer ab\u00e9"}, "", ErrInvalidToken, ErrInvalidToken},
		{"too long", []string{"Bearer " + long + "a"}, "", ErrInvalidToken, ErrInvalidToken},
		{"basic", []string{basic("anybody:abc")}, "abc", ErrNoToken, nil},
		{"basic without a user", []string{basic(":abc")}, "abc", ErrNoToken, nil},
		{"basic without a password", []string{basic("abc")}, "", ErrNoToken, ErrInvalidToken},
		{"basic with an empty password", []string{basic("abc:")}, "", ErrNoToken, ErrInvalidToken},
		{"basic with a password that is no token", []string{basic("a:b:c")}, "", ErrNoToken, ErrInvalidToken},
		{"basic that is not base64", []string{"Basic a:b"}, "", ErrNoToken, ErrInvalidToken},
		{"basic with the longest", []string{basic(":" + long)}, long, ErrNoToken, nil},
		{"basic, too long", []string{basic(":" + long + "a")}, "", ErrNoToken, ErrInvalidToken},
		{"basic, far too long", []string{basic(":" + long + long)}, "", ErrNoToken, ErrInvalidToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{"Authorization": tt.values}
			check(t, "BearerToken", BearerToken, h, tt.want, tt.bearer)
			check(t, "BearerOrBasicToken", BearerOrBasicToken, h, tt.want, tt.either)
		})
	}
}

func check(t *testing.T, name string, read func(http.Header) (string, error), h http.Header, want string, wantErr error) {
	t.Helper()
	got, err := read(h)
	if wantErr != nil {
		want = ""
	}
	if !errors.Is(err, wantErr) || got != want {
		t.Errorf("%s = %.40q, %v; want %.40q, %v", name, got, err, want, wantErr)
	}
}
