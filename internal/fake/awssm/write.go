package awssm

import (
	"bytes"
	"regexp"
	"slices"
	"time"
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)

const maxValue = 65536 // bytes

func (s *Server) create(in input) (output, error) {
	if !nameForm.MatchString(in.Name) {
		return nil, refuse("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	x := s.secrets[in.Name]
	switch {
	case x != nil && !x.deleted.IsZero():
		return nil, refuse("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
	case x != nil && x.byID(in.ClientRequestToken) != nil && same(x.byID(in.ClientRequestToken), in):
		return output{"ARN": x.arn(), "Name": x.name, "VersionId": in.ClientRequestToken}, nil
	case x != nil:
		return nil, refuse("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
	}
	now := time.Now()
	x = &secret{name: in.Name, description: in.Description, kmsKey: in.KmsKeyId, tags: in.Tags, created: now}
	for _, r := range in.AddReplicaRegions {
		x.replicas = append(x.replicas, r.Region)
	}
	if in.SecretString != nil || in.SecretBinary != nil {
		if err := x.add(in); err != nil {
			return nil, err
		}
	}
	s.secrets[in.Name] = x
	return output{"ARN": x.arn(), "Name": x.name, "VersionId": in.ClientRequestToken}, nil
}

func (s *Server) put(in input) (output, error) {
	x, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := x.add(in); err != nil {
		return nil, err
	}
	return output{"ARN": x.arn(), "Name": x.name, "VersionId": in.ClientRequestToken, "VersionStages": x.byID(in.ClientRequestToken).stages}, nil
}

// add makes a version, which becomes current unless stages say another thing and there is a current one.
func (x *secret) add(in input) error {
	size := len(in.SecretBinary)
	if in.SecretString != nil {
		size = len(*in.SecretString)
	}
	if size == 0 || size > maxValue || len(in.ClientRequestToken) < 32 || len(in.ClientRequestToken) > 64 {
		return refuse("ValidationException", "a value has 1 to 65536 bytes, a token 32 to 64 characters")
	}
	if v := x.byID(in.ClientRequestToken); v != nil {
		if !same(v, in) {
			return refuse("ResourceExistsException", "You can't modify an existing version")
		}
		return nil
	}
	x.changed = time.Now()
	v := &version{id: in.ClientRequestToken, text: in.SecretString, binary: in.SecretBinary, created: x.changed}
	x.versions = append(x.versions, v)
	stages := in.VersionStages
	if len(stages) == 0 || len(x.versions) == 1 {
		stages = append(slices.Clone(stages), current)
	}
	for _, stage := range stages {
		x.label(stage, v)
	}
	return nil
}

func same(v *version, in input) bool {
	if v.text != nil && in.SecretString != nil {
		return *v.text == *in.SecretString
	}
	return v.text == nil && in.SecretString == nil && bytes.Equal(v.binary, in.SecretBinary)
}

// label moves a stage to a version. The one that was current becomes the previous one.
func (x *secret) label(stage string, to *version) {
	if from := x.byStage(stage); from != nil && from != to {
		from.stages = slices.DeleteFunc(from.stages, func(s string) bool { return s == stage })
		if stage == current {
			x.label(previous, from)
		}
	}
	if !slices.Contains(to.stages, stage) {
		to.stages = append(to.stages, stage)
	}
}

func (s *Server) move(in input) (output, error) {
	x, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	has, to := x.byStage(in.VersionStage), x.byID(in.MoveToVersionId)
	switch {
	case to == nil:
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")
	case has != nil && has.id != in.RemoveFromVersionId && has != to:
		return nil, refuse("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", in.VersionStage, has.id)
	}
	x.label(in.VersionStage, to)
	x.changed = time.Now()
	return output{"ARN": x.arn(), "Name": x.name}, nil
}

func (s *Server) delete(in input) (output, error) {
	x, err := s.find(in.SecretId)
	if err != nil && in.ForceDeleteWithoutRecovery {
		return output{"Name": in.SecretId, "DeletionDate": seconds(time.Now())}, nil
	}
	if err != nil {
		return nil, err
	}
	days := 30
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	switch {
	case in.ForceDeleteWithoutRecovery && in.RecoveryWindowInDays != nil, days < 7, days > 30:
		return nil, refuse("InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	case len(x.replicas) > 0:
		return nil, refuse("InvalidParameterException", "You can't delete secret %s that still has replica regions %v", x.name, x.replicas)
	case !x.deleted.IsZero() && !in.ForceDeleteWithoutRecovery:
		return nil, refuse("InvalidRequestException", "You can't perform this operation on the secret because it was already scheduled for deletion.")
	}
	now := time.Now()
	x.deleted, x.purging = now, in.ForceDeleteWithoutRecovery
	if x.purging {
		return output{"ARN": x.arn(), "Name": x.name, "DeletionDate": seconds(now)}, nil
	}
	return output{"ARN": x.arn(), "Name": x.name, "DeletionDate": seconds(now.AddDate(0, 0, days))}, nil
}

func (s *Server) restore(in input) (output, error) {
	x, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	if x.purging {
		return nil, refuse("InvalidRequestException", "The secret is being deleted.")
	}
	x.deleted = time.Time{}
	return output{"ARN": x.arn(), "Name": x.name}, nil
}

func (s *Server) removeReplicas(in input) (output, error) {
	x, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	x.replicas = slices.DeleteFunc(x.replicas, func(r string) bool { return slices.Contains(in.RemoveReplicaRegions, r) })
	return output{"ARN": x.arn()}, nil
}
