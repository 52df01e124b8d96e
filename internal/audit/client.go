package audit

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/realclientip/realclientip-go"
)

// TrustedProxies are the networks of the reverse proxies in front of logfence whose headers name a request's
// source address. The zero value uses the connection's address only.
type TrustedProxies struct {
	header                  string // the one that counts; "" is X-Forwarded-For
	networks                []netip.Prefix
	forwardedFor, forwarded realclientip.RightmostTrustedRangeStrategy
}

// ParseTrustedProxies reads networks in CIDR notation, and single addresses.
func ParseTrustedProxies(networks []string) (TrustedProxies, error) {
	t := TrustedProxies{}
	ranges := make([]net.IPNet, 0, len(networks))
	for _, text := range networks {
		prefix, err := parseNetwork(text)
		if err != nil {
			return TrustedProxies{}, err
		}
		t.networks = append(t.networks, prefix)
		ranges = append(ranges, net.IPNet{
			IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
		})
	}
	var err error
	if t.forwardedFor, err = realclientip.NewRightmostTrustedRangeStrategy("X-Forwarded-For", ranges); err != nil {
		return TrustedProxies{}, fmt.Errorf("read X-Forwarded-For: %w", err)
	}
	if t.forwarded, err = realclientip.NewRightmostTrustedRangeStrategy("Forwarded", ranges); err != nil {
		return TrustedProxies{}, fmt.Errorf("read Forwarded: %w", err)
	}
	return t, nil
}

// The headers that may name a request's source address.
const (
	headerXForwardedFor = "X-Forwarded-For"
	headerForwarded     = "Forwarded"
)

// ParseClientAddressHeader reads the name of the header that names a request's source address.
func ParseClientAddressHeader(name string) (string, error) {
	switch canonical := http.CanonicalHeaderKey(name); canonical {
	case headerXForwardedFor, headerForwarded:
		return canonical, nil
	default:
		return "", fmt.Errorf("%q is not a header that is read; write %s or %s, which your proxies write themselves", name, headerXForwardedFor, headerForwarded)
	}
}

// Reading returns the same proxies, whose word counts in this header alone. The name is one of [ParseClientAddressHeader].
func (t TrustedProxies) Reading(header string) TrustedProxies {
	if t.header = header; header == headerXForwardedFor {
		t.header = "" // the default has one form
	}
	return t
}

func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil || prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is not a network; write one such as 10.0.0.0/8 or 192.0.2.1", text)
	case prefix.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("%q covers every address: each caller could claim any; name the proxies' networks", text)
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%q is an address within a network; did you mean %q?", text, prefix.Masked())
	}
	return prefix, nil
}

// Client is the address that a request came from: the connection's or, where that is a trusted proxy's,
// the nearest address before it that is not, from the one header that counts: X-Forwarded-For, or Forwarded (RFC 7239).
// It is read from the right, where the nearest proxy adds its own peer's address: everything to the left of an
// address that is not trusted was written by that caller. Where it names no such address, or something
// that is no address, it is the connection's.
//
// A proxy writes one of the two headers and forwards the other as the caller sent it, so the other one is not read.
func (t TrustedProxies) Client(r *http.Request) netip.Addr {
	connection, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer := connection.Addr().Unmap().WithZone("") // a zone is any text
	switch {
	case !t.trusts(peer):
		return peer
	case t.header != headerForwarded:
		return addressOr(peer, t.forwardedFor.ClientIP(r.Header, ""))
	case plainForwarded(r.Header[headerForwarded]):
		return addressOr(peer, t.forwarded.ClientIP(r.Header, ""))
	default:
		return peer
	}
}

func (t TrustedProxies) trusts(addr netip.Addr) bool {
	for _, network := range t.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// addressOr returns the address that realclientip found, or peer where it found none ("").
func addressOr(peer netip.Addr, found string) netip.Addr {
	addr, err := netip.ParseAddr(found)
	if err != nil {
		return peer
	}
	return addr.Unmap().WithZone("") // a zone is any text
}

// forwardedElement is an element of Forwarded without separators in its quoted strings.
var forwardedElement = regexp.MustCompile(`^\s*(?:[\w-]+=(?:"[^",;\\]*"|[^",;\\]*)\s*(?:;\s*|$))*$`)

// plainForwarded reports whether every element can be read without knowing quoted strings (RFC 9110,
// section 5.6.4): realclientip splits inside them. A proxy quotes the caller's Host there, and a comma in
// it would let the caller write an element of its own. For the same reason an element has one "for".
func plainForwarded(values []string) bool {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			if !forwardedElement.MatchString(element) || strings.Count(strings.ToLower(element), "for=") > 1 {
				return false
			}
		}
	}
	return true
}
