/** How the API server's logs and managedFields name us. */
export const USER_AGENT = 'nestjs-leader';
