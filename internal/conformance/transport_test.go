package conformance

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// request is what is sent, byte by byte: an HTTP client would put much of it right.
type request struct {
	method, target string
	header         []field
	body           string
	// may are the tenants that the token speaks for, at most.
	may []string
}

type field struct{ name, value string }

// text is the request as it goes out.
func (r request) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method, r.target)
	for _, f := range r.header {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	return b.String() + "\r\n" + r.body
}

func (r request) String() string {
	text := fmt.Sprintf("%q", r.text())
	if len(text) > 4000 {
		text = text[:3000] + fmt.Sprintf("…(%d bytes)…", len(text)) + text[len(text)-500:]
	}
	return text
}

// parsed is the request as net/http reads it, or why it does not.
func (r request) parsed() (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(strings.NewReader(r.text())))
}

// reply is the complete response, or the beginning of a response without an end.
type reply struct {
	status   int
	header   http.Header
	body     []byte // not compressed
	messages [][]byte
}

// responseTimeout is how long a response may take, on a machine under load.
const responseTimeout = time.Minute

// send sends a request on a connection of its own, and returns when the server is done with it.
func (g *gateway) send(r request) (a reply, err error) {
	conn := g.listener.dial()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, r.text()) // a server that responds early stops reading
	}()
	defer func() {
		_ = conn.Close() // it is a pipe
		<-written
		g.busy.Lock() // the handler has begun, or never will
		defer g.busy.Unlock()
	}()
	if err := conn.SetDeadline(time.Now().Add(responseTimeout)); err != nil {
		return reply{}, err
	}
	return readReply(bufio.NewReader(conn), r.method)
}

func readReply(from *bufio.Reader, method string) (a reply, err error) {
	var response *http.Response
	for response == nil || response.StatusCode == http.StatusContinue {
		// The body is not closed, since that would read a tail to its end; the connection is.
		response, err = http.ReadResponse(from, &http.Request{Method: method})
		if err != nil {
			return reply{}, fmt.Errorf("read response: %w", err)
		}
	}
	a = reply{status: response.StatusCode, header: response.Header}
	switch {
	case a.status == http.StatusSwitchingProtocols:
		a.messages, err = readFrames(from)
	case a.header.Get("Content-Type") == "text/event-stream":
		a.body, err = readEvents(response.Body)
		a.messages = [][]byte{a.body}
	default:
		a.body, err = readBody(response)
	}
	if err != nil {
		return a, fmt.Errorf("read body of %d: %w", a.status, err)
	}
	return a, nil
}

func readBody(response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(response.Body)
	if err != nil || response.Header.Get("Content-Encoding") != "gzip" {
		return body, err
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// readEvents reads a stream to its end, and a tail until its first heartbeat.
func readEvents(body io.Reader) ([]byte, error) {
	var text []byte
	for events := bufio.NewReader(body); ; {
		line, err := events.ReadBytes('\n')
		text = append(text, line...)
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil || bytes.HasPrefix(line, []byte(":")) && len(text) > len(line):
			return text, err
		}
	}
}

// readFrames reads a WebSocket until the server pings, since it is silent, or closes.
func readFrames(from io.Reader) (messages [][]byte, err error) {
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(from, head); err != nil {
			return messages, err
		}
		size := uint64(head[1] & 0x7f)
		for code, width := range map[uint64]int{126: 2, 127: 8} {
			if uint64(head[1]&0x7f) == code {
				wide := make([]byte, 8)
				if _, err := io.ReadFull(from, wide[8-width:]); err != nil {
					return messages, err
				}
				size = binary.BigEndian.Uint64(wide)
			}
		}
		if size > 1<<20 {
			return messages, errors.New("a frame of more than 1 MiB")
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(from, payload); err != nil {
			return messages, err
		}
		if opcode := head[0] & 0x0f; opcode != 1 {
			return messages, nil
		}
		messages = append(messages, payload)
	}
}
