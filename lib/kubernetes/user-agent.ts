/** The name of this package in the API server's logs and in managedFields. */
export const USER_AGENT = 'nestjs-leader';
