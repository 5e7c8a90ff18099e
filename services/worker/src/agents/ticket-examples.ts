import type { Category } from './ticket.ts';

/** What tickets of each category say, in other words than any one of them: a ticket is near to those of its kind. */
export const ticketExamples: Readonly<Record<Exclude<Category, 'other'>, readonly string[]>> = {
  billing: ['There is a mistake on our invoice', 'We paid twice and want our money back', 'A question about a charge'],
  pricing: ['How much does it cost for one more user?', 'Please give us a discount', 'Your offer is too expensive'],
  availability: ['The whole system is down', 'Nobody can reach the service', 'The site has been offline for an hour'],
  performance: ['Pages take minutes to load', 'The app is slow and hangs', 'Queries run into timeouts'],
  errors: ['A button does not work any more', 'The page stays blank', 'It crashes with an error message'],
  integration: [
    'The connector to our ERP does not sync',
    'How do we call your API or webhooks?',
    'We want to connect our data pipeline',
    'The on-premises agent cannot connect',
  ],
  data: [
    'The numbers in the report are wrong',
    'A chart differs from our own figures',
    'Rows are missing after the import',
    'How do I write a formula in a dashboard?',
  ],
  access: ['I cannot log in', 'Reset my password', 'Single sign-on fails', 'Who may see this workspace?'],
  security: [
    'Please fill in our security questionnaire',
    'Where is our data stored and who may process it?',
    'The result of a penetration test',
  ],
  onboarding: ['We need training for new users', 'How do we get started?', 'Our people took your course'],
  feature: ['It would be nice if it could do this', 'Please add this to your roadmap'],
  contract: ['We want to renew our contract', 'Fewer seats from the next term on', 'What are the terms of notice?'],
  churn: ['We are leaving you for a competitor', 'We want to cancel and go'],
  support: ['Nobody answers my emails', 'Your support takes too long', 'How fast do you reply to tickets?'],
  delivery: ['Where is my parcel?', 'The shipment is late'],
};
