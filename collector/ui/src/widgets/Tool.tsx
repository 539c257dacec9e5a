// A small button that shows only an icon.
import { Icon, type IconName } from "./Icon";

interface ToolProps {
  icon: IconName;
  name: string;
  title: string;
  pressed?: boolean;
  disabled?: boolean;
  onClick: () => void;
}

export function Tool({ icon, name, title, pressed, disabled, onClick }: ToolProps) {
  return (
    <button
      type="button"
      className="quiet icon"
      aria-label={name}
      aria-pressed={pressed}
      disabled={disabled}
      title={title}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
