/** What the theme imports and Vite reads, not TypeScript. */
declare module '*.vue' {
  const component: object;
  export default component;
}
declare module '*.css';
