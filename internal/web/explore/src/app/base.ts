/** The path below which logfence is served, without a slash at its end: what this page's own path has before `/explore`. */
export const basePath: string = location.pathname.replace(/\/explore\/?$/, '');
