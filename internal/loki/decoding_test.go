package loki

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

func streamsOf(lines int) string {
	values := strings.Repeat(`["1","line"],`, lines)
	return fmt.Sprintf(`{"data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[%s]}]}}`, strings.TrimSuffix(values, ","))
}

// TestDecodersWaitForLokiWithoutTurn guarantees that a response which Loki does not go on with keeps no other one
// from being decoded.
func TestDecodersWaitForLokiWithoutTurn(t *testing.T) {
	t.Parallel()
	turns := make(decoding, 1)
	text := streamsOf(10)
	slow, write := io.Pipe()
	ended := make(chan error)
	go func() {
		entries, err := turns.entries(slow)
		if err == nil && len(entries) != 10 {
			err = fmt.Errorf("%d lines", len(entries))
		}
		ended <- err
	}()
	if _, err := io.WriteString(write, text[:len(text)/2]); err != nil { // the decoder has begun, and waits for more
		t.Fatal(err)
	}
	if entries, err := turns.entries(strings.NewReader(text)); err != nil || len(entries) != 10 {
		t.Fatalf("%d lines, %v", len(entries), err)
	}
	go func() {
		_, err := io.WriteString(write, text[len(text)/2:])
		_ = write.CloseWithError(err)
	}()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestDecodersGiveTurnsBack guarantees that each of many responses is decoded with fewer turns, and that turns come
// back also where a response ends early.
func TestDecodersGiveTurnsBack(t *testing.T) {
	t.Parallel()
	turns := make(decoding, 2)
	text := streamsOf(5000)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			complete := i%4 != 0
			from := text
			if !complete {
				from = text[:len(text)/2]
			}
			entries, err := turns.entries(strings.NewReader(from))
			if complete && (err != nil || len(entries) != 5000) || !complete && err == nil {
				t.Errorf("%d lines, %v", len(entries), err)
			}
		})
	}
	all.Wait()
	if len(turns) != 0 {
		t.Errorf("%d turns are still taken", len(turns))
	}
}
