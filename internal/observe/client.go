package observe

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// TrustedProxies are the networks of the proxies whose word counts about where a request came from.
// None, the zero value, believes only the connection itself.
type TrustedProxies []netip.Prefix

// ParseTrustedProxies reads networks in CIDR notation, and single addresses.
func ParseTrustedProxies(networks []string) (TrustedProxies, error) {
	proxies := make(TrustedProxies, 0, len(networks))
	for _, text := range networks {
		prefix, err := parseNetwork(text)
		if err != nil {
			return nil, err
		}
		proxies = append(proxies, prefix)
	}
	return proxies, nil
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
		return netip.Prefix{}, fmt.Errorf("%q is everybody: each caller could claim any address; name the proxies' networks", text)
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%q is an address within a network; did you mean %q?", text, prefix.Masked())
	}
	return prefix, nil
}

// Client is the address that a request came from: the connection's or, where that is a trusted
// proxy's, the nearest one before it that is not, as X-Forwarded-For or Forwarded (RFC 7239) tell
// it. They are read from the right, where the nearest proxy adds what it has seen itself: everything
// to the left of an address that is not trusted is that caller's own writing.
//
// A proxy writes one of the two headers and passes the other on as the caller sent it. When there are
// both and they differ, neither is believed, and the address is the proxy's: it can be told to remove
// the one that it does not write.
func (t TrustedProxies) Client(r *http.Request) netip.Addr {
	connection, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer := connection.Addr().Unmap().WithZone("") // a zone is any text
	if !t.trusts(peer) {
		return peer
	}
	x, forwarded := r.Header.Values("X-Forwarded-For"), r.Header.Values("Forwarded")
	byX := t.walk(peer, strings.Split(strings.Join(x, ","), ","), parseHop)
	byForwarded := peer
	if elements, ok := splitQuoted(strings.Join(forwarded, ","), ','); ok {
		byForwarded = t.walk(peer, elements, parseForwarded)
	}
	switch {
	case len(forwarded) == 0:
		return byX
	case len(x) == 0 || byX == byForwarded:
		return byForwarded
	default:
		return peer
	}
}

func (t TrustedProxies) trusts(addr netip.Addr) bool {
	for _, network := range t {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// walk goes from the nearest hop to the first that is not trusted, and stops where the trail ends: at
// what is no address, the one who wrote it is the last that is known.
func (t TrustedProxies) walk(peer netip.Addr, hops []string, parse func(string) (netip.Addr, bool)) netip.Addr {
	for i := len(hops) - 1; i >= 0 && t.trusts(peer); i-- {
		hop, ok := parse(hops[i])
		if !ok {
			break
		}
		peer = hop
	}
	return peer
}

// parseHop reads an address as proxies write it: bare, in brackets, or with a port.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	} else if inner, ok := strings.CutPrefix(text, "["); ok {
		text = strings.TrimSuffix(inner, "]")
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true // a zone is any text
}

// parseForwarded reads the address in one element of Forwarded, its one "for". Names that hide the
// address ("unknown", "_proxy") are no address.
func parseForwarded(element string) (addr netip.Addr, ok bool) {
	pairs, _ := splitQuoted(element, ';') // whole quotes: the element was split out of them
	found := false
	for _, pair := range pairs {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if found {
			return netip.Addr{}, false
		}
		found = true
		if quoted, is := strings.CutPrefix(value, `"`); is {
			value = strings.TrimSuffix(quoted, `"`)
		}
		addr, ok = parseHop(value)
	}
	return addr, ok
}

// splitQuoted splits a header's value where the separator is not in a quoted string (RFC 9110 section
// 5.6.4). It is not ok when one does not end: a caller who leaves one open would make the proxy's own
// element a part of it.
func splitQuoted(s string, separator byte) (parts []string, ok bool) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:]), !quoted
}
