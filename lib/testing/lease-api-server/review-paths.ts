/** Where users ask about themselves. */

/** May I? */
export const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

/** Who am I? */
export const SELF_REVIEWS = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
