// The column heads: drag one to move it, drag its edge to resize it, or do both
// and more from its menu.
import { memo, useState, type DragEvent, type PointerEvent } from "react";
import { Popover } from "../../widgets/Popover";
import {
  columnTitle,
  columnWidth,
  MESSAGE,
  moveColumn,
  resizeColumn,
  toggleColumn,
  type Column,
} from "./columns";
import s from "./Rows.module.css";

export interface ColumnActions {
  /** `replace` when it continues a change that is already a step back. */
  change: (columns: readonly Column[], replace?: boolean) => void;
  groupBy: (field: string) => void;
}

interface HeaderProps {
  columns: readonly Column[];
  actions: ColumnActions;
}

const WIDER_PX = 40;

export const Header = memo(function Header({ columns, actions }: HeaderProps) {
  const [dragged, setDragged] = useState<number>();
  const [over, setOver] = useState<number>();
  const end = () => {
    setDragged(undefined);
    setOver(undefined);
  };
  return (
    <div className={`${s.row} ${s.head}`} role="row" aria-rowindex={1}>
      <span role="columnheader">Time</span>
      {columns.map((column, at) => (
        <span
          key={column.field}
          role="columnheader"
          className={s.column}
          draggable
          data-over={over === at && dragged !== at}
          data-side={dragged !== undefined && dragged < at ? "after" : "before"}
          onDragStart={(event: DragEvent) => {
            event.dataTransfer.effectAllowed = "move";
            event.dataTransfer.setData("text/plain", column.field);
            setDragged(at);
          }}
          onDragOver={(event) => {
            if (dragged === undefined) return;
            event.preventDefault();
            setOver(at);
          }}
          onDrop={(event) => {
            event.preventDefault();
            if (dragged !== undefined && dragged !== at) actions.change(moveColumn(columns, dragged, at));
            end();
          }}
          onDragEnd={end}
        >
          <Popover
            label={columnTitle(column.field)}
            name={`Column ${columnTitle(column.field)}`}
            title={`${column.field}: drag to move, click for more`}
            className={s.title ?? ""}
          >
            {(close) => <ColumnMenu columns={columns} at={at} actions={actions} close={close} />}
          </Popover>
          <Edge column={column} onResize={(width) => actions.change(resizeColumn(columns, column.field, width), true)} />
        </span>
      ))}
    </div>
  );
});

interface ColumnMenuProps extends HeaderProps {
  at: number;
  close: () => void;
}

function ColumnMenu({ columns, at, actions, close }: ColumnMenuProps) {
  const column = columns[at];
  if (column === undefined) return null;
  const { field } = column;
  const resize = (by: number) => actions.change(resizeColumn(columns, field, columnWidth(column) + by), true);
  const move = (by: -1 | 1) => {
    close();
    actions.change(moveColumn(columns, at, at + by));
  };
  return (
    <div className={s.menu}>
      <button type="button" className="quiet" data-first disabled={at === 0} onClick={() => move(-1)}>
        Move left
      </button>
      <button type="button" className="quiet" disabled={at === columns.length - 1} onClick={() => move(1)}>
        Move right
      </button>
      <button type="button" className="quiet" onClick={() => resize(WIDER_PX)}>
        Wider
      </button>
      <button type="button" className="quiet" onClick={() => resize(-WIDER_PX)}>
        Narrower
      </button>
      <button
        type="button"
        className="quiet"
        disabled={column.width === undefined}
        onClick={() => actions.change(resizeColumn(columns, field, undefined), true)}
      >
        Usual width
      </button>
      {field !== MESSAGE && (
        <button
          type="button"
          className="quiet"
          onClick={() => {
            close();
            actions.groupBy(field);
          }}
        >
          Count by it in the histogram
        </button>
      )}
      <button
        type="button"
        className="quiet"
        disabled={columns.length === 1}
        onClick={() => {
          close();
          actions.change(toggleColumn(columns, field));
        }}
      >
        Remove column
      </button>
    </div>
  );
}

function Edge({ column, onResize }: { column: Column; onResize: (width: number | undefined) => void }) {
  const [grip, setGrip] = useState<number>();
  const drag = (event: PointerEvent) => {
    if (grip !== undefined) onResize(event.clientX - grip);
  };
  return (
    <span
      className={s.edge}
      title="Drag to resize; double click for the usual width"
      data-testid={`edge-${column.field}`}
      draggable={false}
      onPointerDown={(event) => {
        // Not the beginning of moving the column.
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        const cell = event.currentTarget.parentElement?.getBoundingClientRect();
        setGrip(event.clientX - (cell?.width ?? columnWidth(column)));
      }}
      onPointerMove={drag}
      onPointerUp={() => setGrip(undefined)}
      onPointerCancel={() => setGrip(undefined)}
      onDoubleClick={() => onResize(undefined)}
    />
  );
}
