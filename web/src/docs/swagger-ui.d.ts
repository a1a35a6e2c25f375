declare module 'swagger-ui-dist/swagger-ui-es-bundle.js' {
  interface Options {
    domNode: HTMLElement;
    spec: object;
    deepLinking?: boolean;
    filter?: boolean;
    docExpansion?: 'list' | 'full' | 'none';
    defaultModelsExpandDepth?: number;
    validatorUrl?: string | null;
    requestInterceptor?: (request: { headers: Record<string, string> }) => {
      headers: Record<string, string>;
    };
  }
  export default function SwaggerUI(options: Options): unknown;
}
