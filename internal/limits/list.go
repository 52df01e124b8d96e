package limits

// list is a queue from whose middle a node can be taken in constant time: callers leave. It is
// container/list with types, so that a queue of waiters holds no lines by mistake.
type list[T any] struct {
	first, last *node[T]
	len         int
}

type node[T any] struct {
	value      T
	prev, next *node[T]
}

func (l *list[T]) pushBack(value T) *node[T] {
	n := &node[T]{value: value, prev: l.last}
	if l.last == nil {
		l.first = n
	} else {
		l.last.next = n
	}
	l.last = n
	l.len++
	return n
}

// remove takes out a node that is in the list.
func (l *list[T]) remove(n *node[T]) {
	if n.prev == nil {
		l.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
	l.len--
}
