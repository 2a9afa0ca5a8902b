package fido

import (
	"context"
	"fmt"
	"time"
)

// answerTime is how long a key may take for an answer that needs nobody. RSA and slow cards take a second or two.
const answerTime = 5 * time.Second

// answer asks a key for what needs nobody. One that does not answer is ErrDeviceGone: other keys may serve meanwhile,
// and the person should hear of it long before the ceremony's time is over.
func answer[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	v, err := ask(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w (no answer in %v)", ErrDeviceGone, answerTime)
	}
	return v, err
}
