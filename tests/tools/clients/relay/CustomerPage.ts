import { graphql } from 'react-relay';

export const page = graphql`
  query CustomerPageQuery($id: ID!) {
    customer360(id: $id) {
      customer {
        ...CustomerPage_header
        ...CustomerPage_activities
      }
      metrics {
        openPipelineValue {
          amount
          currency
        }
        winRate
      }
      timeline(first: 10) {
        edges {
          node {
            at
            kind
            title
          }
        }
      }
    }
  }
`;

export const header = graphql`
  fragment CustomerPage_header on Customer {
    name
    status
    website
    owner {
      name
    }
  }
`;

// Customer is a Node, so Relay writes the query for the next page itself.
export const activities = graphql`
  fragment CustomerPage_activities on Customer
  @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "String" })
  @refetchable(queryName: "CustomerPageActivitiesQuery") {
    activities(first: $first, after: $after, orderBy: [{ field: SUBJECT }])
      @connection(key: "CustomerPage_activities", filters: []) {
      totalCount
      edges {
        node {
          subject
          status
          dueAt
        }
      }
    }
  }
`;

export const activityCreate = graphql`
  mutation CustomerPageActivityCreateMutation($input: ActivityCreateInput!, $connections: [ID!]!) {
    activityCreate(input: $input) {
      activity @prependNode(connections: $connections, edgeTypeName: "ActivityEdge") {
        subject
        status
        dueAt
      }
      userErrors {
        field
        message
        code
      }
    }
  }
`;

export const changes = graphql`
  subscription CustomerPageChangesSubscription {
    recordChanged(types: [CUSTOMER, ACTIVITY]) {
      event
      recordId
      node {
        ... on Customer {
          name
          customerStatus: status
        }
        ... on Activity {
          subject
          status
        }
      }
    }
  }
`;
