package awsauth

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	maxAttempts = 3
	maxBackoff  = 2 * time.Second
)

// newRetryer makes the attempts of one client: at most three, in AWS's standard way, within the caller's deadline.
func newRetryer() aws.Retryer {
	return retryer{retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff })}
}

type retryer struct{ *retry.Standard }

// IsErrorRetryable leaves the host's refusal to dial alone: asking again changes nothing.
func (r retryer) IsErrorRetryable(err error) bool {
	var refusal *sdk.Error
	return !errors.As(err, &refusal) && r.Standard.IsErrorRetryable(err)
}

// RetryDelay waits as long as AWS asks, if it does.
func (r retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	d, failed := r.Standard.RetryDelay(attempt, err)
	return max(d, retryAfter(err, time.Now())), failed
}

var errNoTime = errors.New("no time is left for another attempt")

// GetRetryToken gives up at once where the wait would outlast the deadline, so that the caller learns AWS's reason.
func (r retryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	wait := retryAfter(err, time.Now())
	if throttled(err) {
		wait = max(wait, maxBackoff)
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
		return nil, errNoTime
	}
	return r.Standard.GetRetryToken(ctx, err)
}

func throttled(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary
}
