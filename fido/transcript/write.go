package transcript

import (
	"fmt"
	"io"
)

// Encode writes the transcript as text, comments and all. What Parse would refuse gives ErrSyntax, ErrOrder or
// ErrTooLarge; other errors are those of w.
func (t *Transcript) Encode(w io.Writer) error {
	c := encoder{w: w}
	if err := c.begin(t.Key); err != nil {
		return err
	}
	for _, e := range t.Events {
		if err := c.write(e, ""); err != nil {
			return err
		}
	}
	return nil
}

// encoder writes a transcript event by event.
type encoder struct {
	w    io.Writer
	size int
	order
	narrator
}

func (c *encoder) begin(key string) error {
	text := header + "\n"
	if key != "" {
		if !validKey(key) {
			return ErrSyntax
		}
		text += "* key " + key + "\n"
	}
	return c.text(text)
}

// write writes an event, with a comment above it where there is one.
func (c *encoder) write(e Event, above string) error {
	if err := valid(e); err != nil {
		return err
	}
	if err := c.take(e); err != nil {
		return err
	}
	text := e.line() + "\n" + comment(c.comments(e))
	if above != "" {
		text = "# " + above + "\n" + text
	}
	switch e.(type) {
	case Request, PowerCycle:
		text = "\n" + text
	}
	return c.text(text)
}

func valid(e Event) error {
	size := 0
	switch e := e.(type) {
	case Request:
		if _, ok := kindNames[kind{e.Transport, e.U2F}]; !ok {
			return fmt.Errorf("transport %d: %w", e.Transport, ErrSyntax)
		}
		size = len(e.Payload)
	case Response:
		size = len(e)
	}
	if size > MaxPayload {
		return ErrTooLarge
	}
	return nil
}

func (c *encoder) text(s string) error {
	if c.size += len(s); c.size > MaxSize {
		return ErrTooLarge
	}
	_, err := io.WriteString(c.w, s)
	return err
}
