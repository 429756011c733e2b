package awsauth

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/keyway-dev/keyway/plugins/internal/retryafter"
	"github.com/keyway-dev/keyway/sdk"
)

const maxReason = 300 // bytes of AWS's own words in our message

// refusals are AWS's words for credentials that it does not accept.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html
var refusals = map[string]bool{
	"ExpiredToken": true, "ExpiredTokenException": true, "IncompleteSignature": true, "IncompleteSignatureException": true,
	"InvalidAccessKeyId": true, "InvalidClientTokenId": true, "InvalidIdentityToken": true, "InvalidSignatureException": true,
	"MissingAuthenticationToken": true, "MissingAuthenticationTokenException": true, "RequestExpired": true,
	"RequestTimeTooSkewed": true, "SignatureDoesNotMatch": true, "TokenRefreshRequired": true, "UnrecognizedClientException": true,
	"AuthFailure": true, "IDPRejectedClaim": true, "NotAuthorized": true,
}

// common are the words that all services share.
var common = map[string]sdk.Code{
	"AccessDenied": sdk.PermissionDenied, "AccessDeniedException": sdk.PermissionDenied, "NotAuthorizedException": sdk.PermissionDenied,
	"OptInRequired": sdk.PermissionDenied, "RegionDisabledException": sdk.PermissionDenied, "UnauthorizedOperation": sdk.PermissionDenied,
	"InternalFailure": sdk.Unavailable, "InternalServerError": sdk.Unavailable, "InternalServiceError": sdk.Unavailable,
	"ServiceUnavailable": sdk.Unavailable, "ServiceUnavailableException": sdk.Unavailable, "IDPCommunicationError": sdk.Unavailable,
	"RequestTimeout": sdk.Unavailable, "RequestTimeoutException": sdk.Unavailable,
	"UnknownOperationException": sdk.Unimplemented, "InvalidAction": sdk.Unimplemented,
	"InvalidParameterCombination": sdk.InvalidArgument, "InvalidParameterValue": sdk.InvalidArgument, "MissingParameter": sdk.InvalidArgument,
	"ValidationError": sdk.InvalidArgument, "ValidationException": sdk.InvalidArgument, "MalformedPolicyDocument": sdk.InvalidArgument,
}

// classify turns what a request met into an [*sdk.Error].
func (c Call) classify(ctx context.Context, err error) error {
	var known *sdk.Error
	if errors.As(err, &known) { // a refused dial, a login that failed
		e := sdk.Errorf(known.Code, "%s %q: %s", c.Op, c.Object, known.Message)
		e.Reason, e.RequestID, e.RetryAfter = known.Reason, known.RequestID, known.RetryAfter
		return e
	}
	var answer interface{ HTTPStatusCode() int }
	if !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 || cutOff(err) {
		return c.unanswered(ctx, err)
	}
	status := answer.HTTPStatusCode()
	word := wordOf(err)
	code := c.code(word, status)
	if word == "" {
		word = strconv.Itoa(status)
	}
	e := c.refusal(code, word, wordsOf(err))
	e.RetryAfter = retryAfter(err, time.Now())
	var named interface{ ServiceRequestID() string }
	if errors.As(err, &named) {
		e.RequestID = named.ServiceRequestID()
	}
	return e
}

// Item is the error of one of several things that a request was for, from the word and message that the answer has for it.
func (c Call) Item(word, message string) error { return c.refusal(c.code(word, 0), word, message) }

func (c Call) refusal(code sdk.Code, word, message string) *sdk.Error {
	e := sdk.Errorf(code, "%s %q: %s answered %s%s%s", c.Op, c.Object, c.Service, word, c.words(message), c.advice(code, word))
	e.Reason = word
	return e
}

// unanswered is a request without an answer, or with half of one.
func (c Call) unanswered(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled), ctx.Err() == nil && errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Canceled, "%s %q: %w", c.Op, c.Object, context.Canceled)
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.DeadlineExceeded, "%s %q: no answer in time: %w", c.Op, c.Object, context.DeadlineExceeded)
	}
	return sdk.Errorf(sdk.Unavailable, "%s %q: %w", c.Op, c.Object, cause(err))
}

// cause leaves out how the client got there.
func cause(err error) error {
	var sent *smithyhttp.RequestSendError
	if errors.As(err, &sent) {
		return sent.Err
	}
	return err
}

// cutOff reports whether the connection ended within an answer.
func cutOff(err error) bool {
	var broken net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &broken) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// codeOf reads a word that all services share. One that is not known is Internal.
func codeOf(word string) sdk.Code {
	if code, ok := common[word]; ok {
		return code
	}
	switch _, slow := retry.DefaultThrottleErrorCodes[word]; {
	case refusals[word]:
		return sdk.Unauthenticated
	case slow:
		return sdk.ResourceExhausted
	}
	return sdk.Internal
}

// code reads AWS's word, and the status where there is none that we know.
func (c Call) code(word string, status int) sdk.Code {
	if code, ok := c.Codes[word]; ok {
		return code
	}
	if code := codeOf(word); code != sdk.Internal {
		return code
	}
	switch {
	case status == http.StatusUnauthorized:
		return sdk.Unauthenticated
	case status == http.StatusTooManyRequests:
		return sdk.ResourceExhausted
	case status < http.StatusMultipleChoices: // a success that the client cannot read
		return sdk.Internal
	case status == http.StatusForbidden:
		return sdk.PermissionDenied
	case status == http.StatusNotFound, status < http.StatusBadRequest: // not AWS's word for a secret or key: a wrong address
		return sdk.FailedPrecondition
	case status < http.StatusInternalServerError:
		return sdk.InvalidArgument
	}
	return sdk.Unavailable
}

// wordOf gives AWS's name of an error; empty where the answer has none. Something on the way may answer in XML.
func wordOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "UnknownError" {
		return api.ErrorCode()
	}
	var unread *smithy.DeserializationError
	if !errors.As(err, &unread) {
		return ""
	}
	var answer struct {
		Code  string `xml:"Code"`
		Error struct {
			Code string `xml:"Code"`
		} `xml:"Error"`
		Listed string `xml:"Errors>Error>Code"`
	}
	if xml.Unmarshal(unread.Snapshot, &answer) != nil {
		return ""
	}
	return cmp.Or(answer.Error.Code, answer.Listed, answer.Code)
}

func wordsOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return ""
}

// words gives what AWS says, unless the request held a value that it might quote.
func (c Call) words(message string) string {
	s := strings.Join(strings.Fields(message), " ")
	if c.Quiet || s == "" {
		return ""
	}
	return ": " + strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}

func (c Call) advice(code sdk.Code, word string) string {
	switch {
	case code == sdk.PermissionDenied && c.Needs != "":
		return "; needs " + c.Needs
	case word == "RequestTimeTooSkewed", word == "RequestExpired":
		return "; is this machine's clock right?"
	}
	return ""
}

// loginError is classify for a login. What is not the network's or AWS's own trouble, nor a permission, is a login that does
// not work.
func (c Call) loginError(ctx context.Context, err error) error {
	var e *sdk.Error
	if !errors.As(c.classify(ctx, err), &e) {
		return err
	}
	switch e.Code {
	case sdk.Canceled, sdk.Unavailable, sdk.ResourceExhausted, sdk.PermissionDenied, sdk.Internal:
	case sdk.DeadlineExceeded: // the login's own
		e.Code = sdk.Unavailable
	default:
		e.Code = sdk.Unauthenticated
	}
	return e
}

// retryAfter reads how long AWS asks to wait: x-amz-retry-after in milliseconds, or Retry-After in seconds or as a date
// (RFC 9110, section 10.2.3). Zero: not told.
func retryAfter(err error, now time.Time) time.Duration {
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.Response == nil {
		return 0
	}
	h := answer.Response.Header
	if n, err := strconv.ParseInt(h.Get("X-Amz-Retry-After"), 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Millisecond
	}
	return retryafter.Of(h, now)
}
