import js from '@eslint/js';
import globals from 'globals';
import noLiteralText from './tools/no-literal-text.js';

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
  {
    files: ['web/**/*.js'],
    // Snippets of code are no texts.
    ignores: ['web/texts/*.js', 'web/events/snippets.js'],
    plugins: { console: { rules: { 'no-literal-text': noLiteralText } } },
    rules: { 'console/no-literal-text': 'error' },
  },
  // A catalogue is one list of texts.
  { files: ['web/texts/??.js'], rules: { 'max-lines': 'off', 'max-len': 'off' } },
  // Tests are stories, and may be long ones.
  { files: ['test/**/*.js'], rules: { 'max-lines-per-function': 'off' } },
  { files: ['test/browser/**/*.js'], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
];
