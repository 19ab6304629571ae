import js from '@eslint/js';
import globals from 'globals';

export default [
  { ignores: ['web/vendor/', 'src/'] },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }],
      'no-var': 'error',
      'prefer-const': 'error',
      'object-shorthand': 'error',
      'no-shadow': ['error', { allow: ['event', 'name'] }],
      'max-lines-per-function': ['error', { max: 100 }],
      'max-lines': ['error', { max: 400, skipComments: true }],
      'max-len': [
        'error',
        { code: 140, ignoreUrls: true, ignoreRegExpLiterals: true, ignorePattern: '^ *\\w+: .M' },
      ],
    },
  },
  { files: ['web/**/*.js'], languageOptions: { globals: globals.browser } },
  { files: ['test/**/*.js', 'tools/**/*.js', '*.js'], languageOptions: { globals: { ...globals.node } } },
  // Tests are stories, and may be long ones.
  { files: ['test/**/*.js'], rules: { 'max-lines-per-function': 'off' } },
  { files: ['test/browser/**/*.js'], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
];
